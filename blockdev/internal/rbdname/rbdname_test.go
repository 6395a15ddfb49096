package rbdname_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev/internal/rbdname"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]rbdname.Name{
		"rbd:p/i":      {Pool: "p", Image: "i"},
		"rbd:p/n/i@s":  {Pool: "p", Namespace: "n", Image: "i", Snapshot: "s"},
		`rbd:p/a\@b`:   {Pool: "p", Image: "a@b"},
		`rbd:p\/q/i,j`: {Pool: "p/q", Image: "i,j"},
		"rbd:p/i:conf=/a@b/c=d:id=me": {
			Pool: "p", Image: "i",
			Options: []rbdname.Option{{Name: "conf", Value: "/a@b/c=d"}, {Name: "id", Value: "me"}},
		},
		`rbd:p/i@s:mon_host=[\:\:1]\:3300`: {
			Pool: "p", Image: "i", Snapshot: "s",
			Options: []rbdname.Option{{Name: "mon_host", Value: "[::1]:3300"}},
		},
	} {
		if got, err := rbdname.Parse(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"rbd:p":        "'rbd:p' is not like rbd:pool/image[@snapshot][:option=value]",
		"rbd:/i":       "'rbd:/i' is not like rbd:pool/image[@snapshot][:option=value]",
		"rbd:p/":       "'rbd:p/' is not like rbd:pool/image[@snapshot][:option=value]",
		"rbd:p/i@":     "'rbd:p/i@' is not like rbd:pool/image[@snapshot][:option=value]",
		"rbd:p/i:":     "'rbd:p/i:': the option '' has no value",
		"rbd:p/i:conf": "'rbd:p/i:conf': the option 'conf' has no value",
	} {
		if _, err := rbdname.Parse(in); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// TestString reads back whatever names there can be.
func TestString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.SampledFrom([]rune(`ab:/@=\, '"`+"\n")), 1, 6, -1)
		n := rbdname.Name{
			Pool: word.Draw(t, "pool"), Image: word.Draw(t, "image"),
			Namespace: rapid.OneOf(rapid.Just(""), word).Draw(t, "namespace"),
			Snapshot:  rapid.OneOf(rapid.Just(""), word).Draw(t, "snapshot"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "options") {
			n.Options = append(n.Options, rbdname.Option{
				Name: word.Draw(t, "name"), Value: word.Draw(t, "value"),
			})
		}
		got, err := rbdname.Parse(n.String())
		if err != nil || !reflect.DeepEqual(got, n) {
			t.Fatalf("%q: %+v, %v, want %+v", n.String(), got, err, n)
		}
	})
}

func TestTake(t *testing.T) {
	n, err := rbdname.Parse("rbd:p/i:key=one:id=me:key=two")
	if err != nil {
		t.Fatal(err)
	}
	if key, given := n.Take("key"); key != "two" || !given {
		t.Errorf("%q, %v", key, given)
	}
	if _, given := n.Take("key"); given || n.String() != "rbd:p/i:id=me" {
		t.Errorf("left: %s", n)
	}
}

// FuzzParse reads any name, and reads what it has read again.
func FuzzParse(f *testing.F) {
	f.Add("rbd:p/i")
	f.Add(`rbd:p\/q/n/i@s:conf=/a@b:mon_host=[\:\:1]\:3300`)
	f.Add(`rbd:p/i\`)
	f.Fuzz(func(t *testing.T, name string) {
		n, err := rbdname.Parse(name)
		if err != nil {
			return
		}
		if n.Pool == "" || n.Image == "" {
			t.Errorf("%q is read as %+v", name, n)
		}
		if again, err := rbdname.Parse(n.String()); err != nil || !reflect.DeepEqual(again, n) {
			t.Errorf("%q is %+v, and its own name %q %+v, %v", name, n, n, again, err)
		}
	})
}
