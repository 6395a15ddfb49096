package blockdev

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

type ramConfig struct {
	Filename string       `option:"filename"`
	Speed    driver.Bytes `option:"speed"`
}

type linkConfig struct {
	File     driver.Child `option:"file"`
	Backing  driver.Child `option:"backing"`
	Stubborn bool         `option:"stubborn"`
}

type plainConfig struct {
	File driver.Child `option:"file"`
}

// memProto is a protocol whose file names are "ram:NAME"; the names in files exist.
func memProto(t *testing.T, files map[string]*ram) Driver {
	return Driver{
		Name: "ram", Kind: driver.Protocol, Schemes: []string{"ram", "file"},
		Config: ramConfig{},
		Open: func(_ context.Context, o *driver.Opening) (driver.Node, error) {
			name := strings.TrimPrefix(o.Config.(*ramConfig).Filename, "ram:")
			r := files[name]
			if r == nil {
				return nil, syscall.ENOENT
			}
			r.t = t
			return r, nil
		},
	}
}

// link is a format whose first byte is 'L' and whose rest up to a newline names a backing file.
type link struct {
	driver.Leaf
	file, backing driver.Node
	mode          Mode
}

func (l *link) Info() Info {
	return Info{Driver: "link", Limits: driver.Limits{Size: l.file.Info().Size}}
}
func (l *link) Primary() driver.Node { return l.file }
func (l *link) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	if o.Config.(*linkConfig).Stubborn {
		return nil, nil, errors.New("link will not")
	}
	return func() { l.mode = o.Mode }, func() {}, nil
}

func linkFormat() Driver {
	return Driver{
		Name: "link", Kind: driver.Format, Resolves: driver.OverProtocol,
		Config: linkConfig{},
		Probe: func(head []byte, _ string) int {
			if len(head) > 1 && head[0] == 'L' && head[1] != 'U' { // LUKS is another
				return 100
			}
			return 0
		},
		Open: func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
			file, err := o.Child(ctx, o.Config.(*linkConfig).File, driver.RoleFile)
			if err != nil {
				return nil, err
			}
			head := make([]byte, 512)
			if err := file.ReadVec(ctx, Vec{head}, 0, 0); err != nil {
				return nil, err
			}
			l := &link{file: file, mode: o.Mode}
			name, _, found := strings.Cut(string(head[1:]), "\n")
			if found && name != "" && !o.NoChild(o.Config.(*linkConfig).Backing) {
				l.backing, err = o.Backing(ctx, o.Config.(*linkConfig).Backing, Link{Name: name})
			}
			return l, err
		},
	}
}

func plainFormat() Driver {
	return Driver{
		Name: "raw", Kind: driver.Format, Resolves: driver.OverProtocol, Config: plainConfig{},
		Probe: func([]byte, string) int { return 1 },
		Open: func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
			file, err := o.Child(ctx, o.Config.(*plainConfig).File, driver.RoleFile)
			return namedFilter{driver.Filter{Next: file}, "raw"}, err
		},
	}
}

type namedFilter struct {
	driver.Filter
	name string
}

func (f namedFilter) Info() Info {
	i := f.Next.Info()
	i.Driver = f.name
	return i
}

func testConfig(t *testing.T, files map[string]*ram) OpenConfig {
	return OpenConfig{Drivers: []Driver{linkFormat(), memProto(t, files), plainFormat()}}
}

func ramFile(text string) *ram {
	return &ram{data: append([]byte(text), make([]byte, 4096-len(text))...)}
}

func TestOpen(t *testing.T) {
	files := map[string]*ram{
		"plain": ramFile("x"), "top": ramFile("Lbase\n"), "base": ramFile("Lram:plain\n"),
		"loop":   ramFile("Lloop\n"),
		"orphan": ramFile("Lgone\n"), "dir/rel": ramFile("Lsib\n"), "dir/sib": ramFile("x"),
	}
	for _, tt := range []struct{ name, format, opts, want, err string }{
		{"plain", "", "", "raw", ""},
		{"plain", "raw", "", "raw", ""},
		{"plain", "ram", "", "ram", ""},
		{"ram:plain", "", "", "raw", ""},
		{"top", "", "", "link", ""},
		{"dir/rel", "", "", "link", ""},
		{"orphan", "", "", "", "Could not open backing file: Could not open 'gone': No such file or directory"},
		{"orphan", "", "backing=", "link", ""},
		{"orphan", "", "backing.driver=raw,backing.file.filename=plain", "link", ""},
		{"loop", "", "", "", "refers to itself"},
		{"gone", "", "", "", "Could not open 'gone': No such file or directory"},
		{"plain", "nosuch", "", "", "Unknown driver 'nosuch'"},
		{"nosuch:plain", "", "", "", "Unknown protocol 'nosuch'"},
		{"", "", "", "", "Must specify either driver or file"},
		{"", "raw", "", "", `A block device must be specified for "file"`},
		{"", "ram", "", "", "The 'ram' block driver requires a file name"},
		{"", "", "driver=raw,file.driver=ram,file.filename=plain", "raw", ""},
		{"", "", "driver=raw,file=gone", "", "Cannot find device='gone' nor node-name='gone'"},
		{"plain", "raw", "file=x", "", "Cannot reference an existing block device"},
		{"plain", "raw", "foo=1", "", "Block format 'raw' does not support the option 'foo'"},
		{"plain", "raw", "file.foo=1", "", "Block protocol 'ram' doesn't support the option 'foo'"},
		{"plain", "raw", "file.speed=x", "", "Parameter 'speed' expects a non-negative number below 2^64"},
		{"plain", "raw", "read-only=perhaps", "", "Parameter 'read-only' expects 'on' or 'off'"},
		{"plain", "raw", "discard=x", "", "Invalid discard option"},
		{"plain", "raw", "force-share=on", "", "force-share=on can only be used with read-only images"},
		{"plain", "raw", "node-name=1x", "", "Invalid node-name: '1x'"},
		{"plain", "raw", "node-name=a,file.node-name=a", "", "Duplicate nodes with node-name='a'"},
		{`json:{"driver":"raw","file":{"driver":"ram","filename":"plain"}}`, "", "", "raw", ""},
		{`json:{"driver":"raw","file":{"driver":"ram","filename":"plain","speed":true}}`, "", "", "", "Parameter 'speed' expects"},
		{`json:{"driver":"ram","filename":"gone"}`, "", "filename=plain", "ram", ""},
		{`json:{"driver":1}`, "", "", "", "Invalid parameter type for 'driver', expected: string"},
	} {
		cfg := testConfig(t, files)
		cfg.Format = tt.format
		var err error
		if cfg.Options, err = ParseOptionString(tt.opts, ""); err != nil {
			t.Fatal(err)
		}
		d, err := Open(t.Context(), tt.name, cfg)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q -f %q -o %q: error %v, want %q", tt.name, tt.format, tt.opts, err,
					tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q -f %q -o %q: %v", tt.name, tt.format, tt.opts, err)
			continue
		}
		if got := d.Info().Driver; got != tt.want {
			t.Errorf("%q -f %q -o %q: driver %s, want %s", tt.name, tt.format, tt.opts, got,
				tt.want)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestGateRefusesBackingFiles(t *testing.T) {
	cfg := testConfig(t, map[string]*ram{"top": ramFile("Lplain\n"), "plain": ramFile("x")})
	var asked Link
	cfg.Gate = func(l Link) error {
		asked = l
		return errors.New("not here")
	}
	if _, err := Open(t.Context(), "top", cfg); err == nil || asked.Name != "plain" ||
		asked.From != "top" {
		t.Errorf("error %v, asked %+v", err, asked)
	}
}

func TestDeviceRefuses(t *testing.T) {
	files := map[string]*ram{"plain": ramFile("x")}
	cfg := testConfig(t, files)
	d, err := Open(t.Context(), "plain", cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, err := range []error{
		d.Read(ctx, Vec{make([]byte, 2)}, 4095, 0), d.Write(ctx, Vec{make([]byte, 1)}, -1, 0),
		d.Zero(ctx, 1<<62, 1<<62, 0), d.Discard(ctx, 4097, 0),
	} {
		var e *Error
		if !errors.As(err, &e) || Errno(err) != syscall.EIO {
			t.Errorf("outside the device: %v", err)
		}
	}
	cfg.Mode.ReadOnly = true
	if d, err = Open(ctx, "plain", cfg); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		d.Write(ctx, Vec{{1}}, 0, 0), d.Zero(ctx, 0, 1, 0),
		d.Discard(ctx, 0, 1), d.Truncate(ctx, 0, 0), d.NeedWrite(ctx, true),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("read-only: %v", err)
		}
	}
}

func TestReopen(t *testing.T) {
	cfg := testConfig(t, map[string]*ram{"top": ramFile("Lplain\n"), "plain": ramFile("x")})
	d, err := Open(t.Context(), "top", cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ opts, err string }{
		{"read-only=on", ""},
		{"read-only=off", ""},
		{"driver=link", ""},
		{"driver=raw", "Cannot change the option 'driver'"},
		{"node-name=other", "Cannot change the option 'node-name'"},
		{"nosuch=1", "Cannot change the option 'nosuch'"},
		{"file.filename=plain", "Cannot change the option 'filename'"},
		{"file.filename=top", ""},
		{"stubborn=on,read-only=on", "link will not"},
		{"backing.read-only=x", "Parameter 'read-only' expects"},
	} {
		change, err := ParseOptionString(tt.opts, "")
		if err != nil {
			t.Fatal(err)
		}
		before := d.ReadOnly()
		err = d.Reopen(t.Context(), change)
		if tt.err == "" && err != nil || tt.err != "" &&
			(err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: error %v, want %q", tt.opts, err, tt.err)
		}
		if err != nil && d.ReadOnly() != before {
			t.Errorf("%s: failed, but took effect", tt.opts)
		}
	}
	if err := d.Reopen(t.Context(), opts(t, "read-only=on")); err != nil || !d.ReadOnly() {
		t.Errorf("reopen read-only: %v", err)
	}
	top, _ := driver.Find[*link](d.Top())
	if !top.mode.ReadOnly {
		t.Error("the node was not told")
	}
	if g := top.file.(*guard); !g.readOnly.Load() {
		t.Error("the file does not follow")
	}
}

func opts(t *testing.T, s string) *Options {
	t.Helper()
	o, err := ParseOptionString(s, "")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// What ends inside a block cannot be written without growing, so it is refused unless growing was
// asked for.
func TestOpenRefusesPartOfABlock(t *testing.T) {
	odd := &ram{data: make([]byte, 512), lim: driver.Limits{RequestAlign: 4096}}
	cfg := testConfig(t, map[string]*ram{"odd": odd})
	cfg.Format = "raw"
	if _, err := Open(t.Context(), "odd", cfg); err == nil ||
		!strings.Contains(err.Error(), "not a multiple of request alignment") {
		t.Errorf("error %v", err)
	}
	cfg.Claim = driver.Claim{
		Use:   driver.PermRead | driver.PermWrite | driver.PermResize,
		Share: driver.PermAll,
	}
	if _, err := Open(t.Context(), "odd", cfg); err != nil {
		t.Errorf("with permission to resize: %v", err)
	}
	cfg.Claim, cfg.Mode.ReadOnly = driver.Claim{}, true
	d, err := Open(t.Context(), "odd", cfg)
	if err != nil {
		t.Fatalf("read-only: %v", err)
	}
	if err := d.Top().Truncate(t.Context(), maxLength+1, PreallocOff,
		0); Errno(err) != syscall.EFBIG {
		t.Errorf("truncate beyond the largest size: %v", err)
	}
}

// A scratch disk has no format to guess, and so no warning about it.
func TestScratchIsRaw(t *testing.T) {
	cfg := testConfig(t, map[string]*ram{"x": ramFile("Lbase\n")})
	for i := range cfg.Drivers {
		cfg.Drivers[i].Scratch = cfg.Drivers[i].Name == "ram"
	}
	cfg.Notify = func(n Notice) { t.Errorf("notice %v", n) }
	d, err := Open(t.Context(), "ram:x", cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Info().Driver; got != "raw" {
		t.Errorf("driver %s", got)
	}
}
