package blockdev

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// openedModes opens name and notes the mode of each protocol node, by its file.
func openedModes(t *testing.T, name string, files map[string]*ram,
	cfg OpenConfig,
) (map[string]Mode, error) {
	t.Helper()
	modes := map[string]Mode{}
	proto := memProto(t, files)
	open := proto.Open
	proto.Open = func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
		modes[o.Filename] = o.Mode
		return open(ctx, o)
	}
	cfg.Drivers = []Driver{linkFormat(), proto, plainFormat()}
	d, err := Open(t.Context(), name, cfg)
	if err == nil {
		err = d.Close()
	}
	return modes, err
}

// hostileNames are backing names that ask for rights: the option that asks, as Link.Rights has it,
// and the file it is for.
var hostileNames = []struct{ name, right string }{
	{`json:{"driver":"raw","read-only":false,"file":{"driver":"ram","filename":"base"}}`, "read-only=off"},
	{`json:{"driver":"raw","read-only":"n","file":{"driver":"ram","filename":"base"}}`, "read-only=n"},
	{`json:{"driver":"raw","file":{"driver":"ram","filename":"base","read-only":"off"}}`, "file.read-only=off"},
	{`json:{"driver":"raw","file.read-only":0,"file":{"driver":"ram","filename":"base"}}`, "file.read-only=0"},
	{`json:{"driver":"link","file":{"driver":"ram","filename":"mid"},"backing":{"driver":"raw","read-only":"off","file":{"driver":"ram","filename":"base"}}}`, "backing.read-only=off"},
	{`json:{"driver":"raw","force-share":true,"file":{"driver":"ram","filename":"base"}}`, "force-share=on"},
	{`json:{"driver":"raw","file":"mine"}`, "file=mine"},
}

// An image gets no right that the user did not give: without a Gate what it asks for is without
// effect, and a Gate is asked.
func TestImageGetsNoRights(t *testing.T) {
	for _, tt := range hostileNames {
		files := map[string]*ram{"base": ramFile("x"), "mid": ramFile("L\n"), "top": ramFile("")}
		files["top"].data = append([]byte("L"+tt.name+"\n"), make([]byte, 4096)...)
		var options Options
		options.Set("file.node-name", "mine")
		modes, err := openedModes(t, "top", files, OpenConfig{Options: &options})
		for file, m := range modes {
			if m.ReadOnly != (file != "top") || m.ForceShare {
				t.Errorf("%s: %s opened as %+v", tt.name, file, m)
			}
		}
		if named := !strings.Contains(tt.right, "mine"); named && (err != nil || len(modes) < 2) {
			t.Errorf("%s: %v, opened %v", tt.name, err, modes)
		} else if !named && err == nil {
			t.Errorf("%s: stands on a node of the user", tt.name)
		}
		asked := errors.New("asked")
		var rights []string
		_, err = openedModes(t, "top", files,
			OpenConfig{Options: &options, Gate: func(l Link) error {
				rights = append(rights, l.Rights...)
				if l.From != "top" {
					t.Errorf("%s: named by %q", tt.name, l.From)
				}
				return asked
			}})
		if !errors.Is(err, asked) || !slices.Equal(rights, []string{tt.right}) {
			t.Errorf("%s: %v, asked for %q, want %q", tt.name, err, rights, tt.right)
		}
	}
}

// What an image may say of how its files are opened holds: less than the usual.
func TestImageOptionsHold(t *testing.T) {
	files := map[string]*ram{"base": ramFile("x"), "top": ramFile("")}
	name := `json:{"driver":"raw","read-only":true,"cache":{"direct":true},"file":{"driver":"ram","filename":"base","force-share":false}}`
	files["top"].data = append([]byte("L"+name+"\n"), make([]byte, 4096)...)
	modes, err := openedModes(t, "top", files, OpenConfig{Gate: func(l Link) error {
		if len(l.Rights) > 0 {
			return errors.New("asked for rights")
		}
		return nil
	}})
	if m := modes["base"]; err != nil || !m.Direct || !m.ReadOnly {
		t.Errorf("%v, opened as %+v", err, m)
	}
}

// The user's own options hold for what an image names, but not where nothing is to be written.
func TestUserGivesRights(t *testing.T) {
	files := map[string]*ram{"base": ramFile("x"), "top": ramFile("Lbase\n")}
	for _, readOnly := range []bool{false, true} {
		var options Options
		options.Set("backing.read-only", "off")
		options.Set("file.read-only", "off")
		modes, err := openedModes(t, "top", files,
			OpenConfig{Options: &options, Mode: Mode{ReadOnly: readOnly}})
		if err != nil || modes["base"].ReadOnly != readOnly || modes["top"].ReadOnly != readOnly {
			t.Errorf("read-only %v: %v, opened as %+v", readOnly, err, modes)
		}
	}
}

// Reopen keeps what was opened read-only so, until it is told to write.
func TestReopenKeepsReadOnly(t *testing.T) {
	files := map[string]*ram{"plain": ramFile("x")}
	cfg := testConfig(t, files)
	cfg.Mode.ReadOnly = true
	cfg.Options = &Options{}
	cfg.Options.Set("file.read-only", "off")
	d, err := Open(t.Context(), "plain", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	file := d.tree.root.children[0]
	for _, tt := range []struct {
		key, value string
		want       bool
	}{
		{"cache.direct", "on", true},
		{"read-only", "off", false},
		{"cache.direct", "off", false},
		{"read-only", "on", true},
	} {
		var change Options
		change.Set(tt.key, tt.value)
		if err := d.Reopen(t.Context(), &change); err != nil || file.mode.ReadOnly != tt.want {
			t.Errorf("%s=%s: %v, file read-only: %v", tt.key, tt.value, err, file.mode.ReadOnly)
		}
	}
}
