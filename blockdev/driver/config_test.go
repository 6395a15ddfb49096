package driver

import (
	"fmt"
	"math"
	"testing"
)

type inner struct {
	Port int64 `option:"port" default:"10809"`
}

type shared struct {
	Speed Bytes `option:"speed" default:"1M"`
}

type testConfig struct {
	shared
	File   Child   `option:"file" help:"where"`
	Name   string  `option:"name" default:"x"`
	Quiet  *bool   `option:"quiet"`
	Size   *Bytes  `option:"size"`
	Mode   string  `option:"mode" default:"fast" values:"fast,safe"`
	Told   *string `option:"told" known:"a,b"`
	Server inner   `option:"server"`
	Rules  List    `option:"rules"`
	More   Group   `option:"more"`
	unused int
}

func optionsOf(pairs ...any) *Options {
	var o Options
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return &o
}

func TestNewConfig(t *testing.T) {
	o := optionsOf("quiet", true, "size", "8E", "server.port", int64(7), "told", "c",
		"rules.0.event", "e", "more.a", "1", "other", "left", "speed", nil)
	got, err := NewConfig(testConfig{}, o)
	if err != nil {
		t.Fatal(err)
	}
	c := got.(*testConfig)
	if c.Speed != 1<<20 || c.File.String() != "file" || c.Name != "x" || !*c.Quiet ||
		*c.Size != 8<<60 || c.Size.Int() != math.MaxInt64 {
		t.Errorf("%+v", c)
	}
	if c.Mode != "fast" || *c.Told != "c" || c.Server.Port != 7 ||
		c.Rules.String("0.event") != "e" || c.More.String("a") != "1" || c.unused != 0 {
		t.Errorf("%+v", c)
	}
	if keys := o.Keys(); fmt.Sprint(keys) != "[other]" {
		t.Errorf("left: %v", keys)
	}
	none, err := NewConfig(testConfig{}, &Options{})
	if c := none.(*testConfig); err != nil || c.Quiet != nil || c.Size != nil || c.Told != nil {
		t.Errorf("%v, %+v", err, c)
	}
}

func TestNewConfigRefuses(t *testing.T) {
	for key, tt := range map[string]struct {
		value any
		want  string
	}{
		"mode":        {"slow", "Parameter 'mode' does not accept value 'slow'"},
		"quiet":       {"perhaps", "Parameter 'quiet' expects 'on' or 'off'"},
		"server.port": {"x", "Parameter 'server.port' expects a number"},
		"speed":       {"-1", "Parameter 'speed' expects a non-negative number below 2^64"},
		"name":        {struct{}{}, "Invalid parameter type for 'name', expected: string"},
	} {
		if _, err := NewConfig(testConfig{}, optionsOf(key, tt.value)); err == nil ||
			err.Error() != tt.want {
			t.Errorf("%s: %v, want %q", key, err, tt.want)
		}
	}
}

func TestKeysOf(t *testing.T) {
	var names []string
	for _, k := range KeysOf(testConfig{}) {
		names = append(names, fmt.Sprint(k.Name, ":", k.Type))
	}
	want := fmt.Sprint([]string{
		fmt.Sprint("speed:", TypeSize), fmt.Sprint("file:", TypeChild),
		fmt.Sprint("name:", TypeString), fmt.Sprint("quiet:", TypeBool),
		fmt.Sprint("size:", TypeSize),
		fmt.Sprint("mode:", TypeEnum), fmt.Sprint("told:", TypeString),
		fmt.Sprint("server.port:", TypeInt), fmt.Sprint("rules:", TypeList),
		fmt.Sprint("more:", TypeGroup),
	})
	if got := fmt.Sprint(names); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A reopen changes what it names; what a list had before and is not named is kept.
func TestDiffers(t *testing.T) {
	for _, tt := range []struct {
		next, before *Options
		want         string
	}{
		{optionsOf("size", "1k"), optionsOf("size", "1024"), ""},
		{optionsOf("size", "1k"), &Options{}, "size"},
		{&Options{}, optionsOf("quiet", "on"), "quiet"},
		{&Options{}, optionsOf("rules.0.event", "e"), ""},
		{optionsOf("rules.0.event", "f"), optionsOf("rules.0.event", "e"), "rules.0.event"},
		{optionsOf("server.port", "1"), &Options{}, "server.port"},
	} {
		next, err := NewConfig(testConfig{}, tt.next)
		if err != nil {
			t.Fatal(err)
		}
		before, err := NewConfig(testConfig{}, tt.before)
		if got := Differs(next, before); err != nil || got != tt.want {
			t.Errorf("%q, %v, want %q", got, err, tt.want)
		}
	}
}
