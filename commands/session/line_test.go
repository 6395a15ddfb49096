package session

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

func TestNear(t *testing.T) {
	table := NewTable([]*Command{
		{Name: "aio_read"},
		{Name: "length", Alias: "l"},
		{Name: "read", Alias: "r"},
		{Name: "readv"},
		{Name: "write", Elsewhere: []string{"zero: write -z"}},
		{Name: "writev"},
		{Name: "zone_report"},
	}, nil)
	for word, want := range map[string]string{
		"raed":                   "read",
		"rea":                    "read readv",
		"wirte":                  "write",
		"zone":                   "zone_report",
		"lenght":                 "length",
		"x":                      "",
		"zero":                   "write -z",
		"nonsense":               "",
		"":                       "",
		strings.Repeat("x", 999): "",
	} {
		if got := strings.Join(table.Near(word), " "); got != want {
			t.Errorf("near %q: %q, want %q", word, got, want)
		}
	}
}

// options are those of names and values in turn.
func options(words ...string) *blockdev.Options {
	o := &blockdev.Options{}
	for i := 0; i < len(words); i += 2 {
		o.Set(words[i], words[i+1])
	}
	return o
}

func TestImageName(t *testing.T) {
	s := New(Config{Policy: Policy{Several: true}})
	open := func(o Opening) string {
		t.Helper()
		name, err := s.imageName(o)
		if err != nil {
			var failed *event.Failure
			if !errors.As(err, &failed) {
				t.Fatal(err)
			}
			return failed.Event.Kind().Name
		}
		s.enlist(&Image{Name: name})
		return name
	}
	for _, c := range []struct {
		o       Opening
		current bool
		want    string
	}{
		{Opening{Name: "/tmp/disk.img"}, false, "disk.img"},
		{Opening{Name: "other/disk.img"}, false, "disk.img#2"},
		{Opening{Name: "disk.img"}, false, "disk.img#3"},
		{Opening{Name: "nbd:localhost:1"}, false, "nbd"},
		{Opening{Name: "mem:1M"}, false, "mem"},
		{Opening{Name: "mem:1M"}, false, "mem#2"},
		{Opening{Unnamed: true, Options: options("driver", "null-co", "size", "1M")}, false, "null-co"},
		{Opening{Unnamed: true, Options: options("driver", "raw", "file.filename", "a/b.raw")}, false, "b.raw"},
		{Opening{Unnamed: true}, false, "image"},
		{Opening{Name: "json:{}"}, false, "image#2"},
		{Opening{Name: "a b"}, false, "image#3"},
		{Opening{Name: "bad\xff"}, false, "image#4"},
		{Opening{Name: "dir/A:b"}, false, "image#5"},
		{Opening{Name: "x", As: "two"}, true, "two"},
		{Opening{Name: "x", As: "two"}, true, "conflict"},
		{Opening{Name: "x", As: "a b"}, true, "conflict"},
		{Opening{Name: "x", As: strings.Repeat("x", 65)}, true, "conflict"},
		{Opening{Name: "x"}, true, "file_open"},
	} {
		s.current = nil
		if c.current {
			s.current = s.images[0]
		}
		if got := open(c.o); got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
	}
	if !slices.ContainsFunc(s.images, func(im *Image) bool { return s.Named("two") == im }) {
		t.Error("an image is not found by its name")
	}
	s = New(Config{})
	if got := open(Opening{Name: "disk.img"}); got != "" {
		t.Errorf("where there is only one it is called %q", got)
	}
	s.current = s.images[0]
	if got := open(Opening{Name: "disk.img", As: "two"}); got != "file_open" {
		t.Errorf("a second one: %s", got)
	}
}
