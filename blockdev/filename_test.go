package blockdev

import (
	"fmt"
	"strings"
	"testing"
)

func dump(o *Options) string {
	var parts []string
	for _, k := range o.Keys() {
		v, _ := o.Get(k)
		parts = append(parts, fmt.Sprintf("%s=%v(%T)", k, v, v))
	}
	return strings.Join(parts, " ")
}

func TestParseJSONName(t *testing.T) {
	for _, tt := range []struct{ in, want, err string }{
		{`json:{}`, "", ""},
		{`json:{"driver":"raw"}`, "driver=raw(string)", ""},
		{`json:{'driver':'raw','file':{'driver':'file','filename':'a b'}}`, "driver=raw(string) file.driver=file(string) file.filename=a b(string)", ""},
		{`json:{"size":4096,"read-only":true,"backing":null,"x":-1,"y":1.5,"z":18446744073709551615}`, "backing=<nil>(<nil>) read-only=true(bool) size=4096(int64) x=-1(int64) y=1.5(float64) z=18446744073709551615(uint64)", ""},
		{`json:{"e":[{"event":"l2_load"},{"event":"none"}]}`, "e.0.event=l2_load(string) e.1.event=none(string)", ""},
		{`json:{"file.driver":"null-co"}`, "file.driver=null-co(string)", ""},
		{`json:{'a':'it\'s "so"'}`, `a=it's "so"(string)`, ""},
		{`json:{"a":{}}`, "a={}(blockdev.emptyGroup)", ""},
		{`json:{"a":1,"a":2}`, "", `duplicate key "a"`},
		{`json:{"a":{"b":1},"a.b":2}`, "", `duplicate key "a.b"`},
		{`json:[]`, "", "Invalid JSON object given"},
		{`json:{"a":`, "", "ends too early"},
		{`json:{"a`, "", "a string has no end"},
		{`json:{} x`, "", "something follows the object"},
		{`json:` + strings.Repeat(`{"a":`, 100), "", "nested too deep"},
	} {
		o, err := ParseJSONName(tt.in)
		switch {
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: error %v, want %q", tt.in, err, tt.err)
		case tt.err == "" && err != nil:
			t.Errorf("%s: %v", tt.in, err)
		case tt.err == "" && dump(o) != tt.want:
			t.Errorf("%s:\n got %s\nwant %s", tt.in, dump(o), tt.want)
		}
	}
}

func TestParseOptionString(t *testing.T) {
	for _, tt := range []struct{ in, implied, want string }{
		{"driver=raw,size=4k", "", "driver=raw(string) size=4k(string)"},
		{"a=x,,y,b=", "", "a=x,y(string) b=(string)"},
		{"some,,file,driver=raw", "file", "driver=raw(string) file=some,file(string)"},
		{"read-only,nolocking", "", "locking=off(string) read-only=on(string)"},
		{"a=1,a=2", "", "a=2(string)"},
		{"filename=a=b", "", "filename=a=b(string)"},
		{"", "file", ""},
	} {
		o, err := ParseOptionString(tt.in, tt.implied)
		if err != nil || dump(o) != tt.want {
			t.Errorf("%q: %v\n got %s\nwant %s", tt.in, err, dump(o), tt.want)
		}
	}
	var many strings.Builder
	for i := range maxOptions + 1 {
		fmt.Fprintf(&many, "k%d=1,", i)
	}
	if _, err := ParseOptionString(many.String(), ""); err == nil {
		t.Error("any number of options is taken")
	}
}

func FuzzParseJSONName(f *testing.F) {
	for _, s := range []string{
		`json:{'a':[1,{"b":null}]}`, `json:{"a":"\u00e9"}`, `json:{'a':'\`,
		"json:{",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseJSONName(s); err == nil && o == nil {
			t.Error("neither options nor an error")
		}
	})
}

func FuzzParseOptionString(f *testing.F) {
	f.Add("a=b,,c,d", "file")
	f.Fuzz(func(_ *testing.T, s, implied string) { _, _ = ParseOptionString(s, implied) })
}
