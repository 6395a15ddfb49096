package blkdebug

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// TestInjection runs little scripts against rules. Each word is a request or an event, and the
// error it is to end with.
func TestInjection(t *testing.T) {
	for _, c := range []struct{ name, options, script string }{
		{"nothing active before its event", "inject-error.event=l2_load", "read write l2_load read=5"},
		{"at opening", "inject-error.event=none", "read=5 write=5 flush=5 discard=5 zero=5 status read=5"},
		{"errno", "inject-error.event=none,inject-error.errno=28", "read=28"},
		{"no errno", "inject-error.0.event=none,inject-error.0.errno=0,inject-error.1.event=none", "read"},
		{"once", "inject-error.event=none,inject-error.once=on", "read=5 read none read"},
		{
			"one once after the other",
			"inject-error.0.event=none,inject-error.0.once=on,inject-error.0.errno=1," +
				"inject-error.1.event=none,inject-error.1.once=on,inject-error.1.errno=2",
			"read=1 read=2 read",
		},
		{"sector", "inject-error.event=none,inject-error.sector=2", "read@0 read@1024=5 read@1536 read@512 flush"},
		{"sector within", "inject-error.event=none,inject-error.sector=2", "read@700=5"},
		{"sector out of reach", "inject-error.event=none,inject-error.sector=9223372036854775807", "read"},
		{"iotype read", "inject-error.event=none,inject-error.iotype=read", "write flush discard zero status read=5"},
		{"iotype write", "inject-error.event=none,inject-error.iotype=write", "read flush discard status write=5"},
		{"iotype write-zeroes", "inject-error.event=none,inject-error.iotype=write-zeroes", "read write flush discard status zero=5"},
		{"iotype discard", "inject-error.event=none,inject-error.iotype=discard", "read write flush zero status discard=5"},
		{"iotype flush", "inject-error.event=none,inject-error.iotype=flush", "read write discard zero status flush=5"},
		{"iotype block-status", "inject-error.event=none,inject-error.iotype=block-status", "read write discard zero flush status=5"},
		{
			"an event replaces what is active",
			"inject-error.0.event=none,inject-error.0.errno=1," +
				"inject-error.1.event=l2_load,inject-error.1.errno=2",
			"read=1 l2_load read=2 cow_read read=2 none read=1",
		},
		{
			"state", "inject-error.0.event=none,inject-error.0.state=2,set-state.0.event=l2_load,set-state.0.new_state=2",
			"read none read l2_load read none read=5",
		},
		{"initial state", "inject-error.event=none,inject-error.state=1", "read=5"},
		{
			"the state changes behind the rules for the event",
			"inject-error.0.event=l2_load,inject-error.0.state=2," +
				"set-state.0.event=l2_load,set-state.0.new_state=2", "l2_load read l2_load read=5",
		},
		{"the first transition counts", "inject-error.0.event=none,inject-error.0.state=3," +
			"set-state.0.event=l2_load,set-state.0.state=1,set-state.0.new_state=3," +
			"set-state.1.event=l2_load,set-state.1.new_state=4", "l2_load none read=5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := open1M(t, c.options, nil)
			if err != nil {
				t.Fatal(err)
			}
			f, _ := driver.Find[*filter](d.Top())
			for _, step := range strings.Fields(c.script) {
				what, want, _ := strings.Cut(step, "=")
				if got := perform(t, f, what); got != want {
					t.Fatalf("%s: errno %q in %q", step, got, c.script)
				}
			}
		})
	}
}

// perform runs one step and gives its error number as text, "" for success.
func perform(t *testing.T, f *filter, what string) string {
	t.Helper()
	ctx := context.Background()
	what, at, _ := strings.Cut(what, "@")
	off := int64(0)
	for _, digit := range at {
		off = off*10 + int64(digit-'0')
	}
	const n = 512
	buf := driver.Vec{make([]byte, n)}
	var err error
	switch what {
	case "read":
		err = f.ReadVec(ctx, buf, off, 0)
	case "write":
		err = f.WriteVec(ctx, buf, off, 0)
	case "zero":
		err = f.Zero(ctx, off, n, 0)
	case "discard":
		err = f.Discard(ctx, off, n, 0)
	case "flush":
		err = f.Flush(ctx)
	case "status":
		_, err = f.Status(ctx, off, n)
	default:
		err = f.OnEvent(ctx, driver.EventNamed(what))
	}
	if err == nil {
		return ""
	}
	no := int(driver.Errno(err))
	return strings.TrimLeft(
		strings.Join([]string{string(rune('0' + no/10)), string(rune('0' + no%10))}, ""), "0")
}

func TestErrorReachesTheDevice(t *testing.T) {
	d, err := open1M(t,
		"inject-error.event=pwritev,inject-error.errno=28,inject-error.iotype=write", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write(context.Background(), driver.Vec{make([]byte, 512)}, 0,
		0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
}

// TestLimits checks that what is asked of the image keeps to the limits, and that short zeroing is
// left to be written.
func TestLimits(t *testing.T) {
	d, err := open1M(t,
		"align=512,max-transfer=4k,opt-write-zero=1k,max-write-zero=8k,opt-discard=2k,max-discard=16k", nil)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := driver.Find[*filter](d.Top())
	got := f.Info().Limits
	want := driver.Limits{
		Size: 1 << 20, RequestAlign: 512, MaxTransfer: 4 << 10, ZeroAlign: 1 << 10,
		MaxZero:      8 << 10,
		DiscardAlign: 2 << 10, MaxDiscard: 16 << 10, WriteTakes: driver.FUA,
	}
	if got != want {
		t.Errorf("limits\n%+v, want\n%+v", got, want)
	}
	ctx := context.Background()
	if err := f.Zero(ctx, 0, 512, 0); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("less than a unit: %v", err)
	}
	if err := f.Discard(ctx, 0, 511, 0); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("less than a block: %v", err)
	}
}

// holder records the claim that reaches it.
type holder struct {
	driver.Leaf
	claims []driver.Claim
}

func (h *holder) Info() driver.Info { return driver.Info{Driver: "holder"} }

func (h *holder) Claim(_ context.Context, c driver.Claim) error {
	h.claims = append(h.claims, c)
	return nil
}

func TestClaim(t *testing.T) {
	h := &holder{}
	drivers := append(testDrivers[:len(testDrivers):len(testDrivers)], driver.Driver{
		Name: "holder",
		Kind: driver.Protocol,
		Open: func(context.Context, *driver.Opening) (driver.Node, error) { return h, nil },
	})
	var o driver.Options
	for _, kv := range [][2]string{
		{"driver", "blkdebug"},
		{"image.driver", "holder"},
		{"take-child-perms.0", "resize"},
		{"take-child-perms.1", "write-unchanged"},
		{"unshare-child-perms.0", "consistent-read"},
	} {
		o.Set(kv[0], kv[1])
	}
	_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: drivers, Options: &o,
		Claim: driver.Claim{Use: driver.PermRead, Share: driver.PermAll},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := driver.Claim{
		Use:   driver.PermRead | driver.PermResize | driver.PermWriteUnchanged,
		Share: driver.PermAll &^ driver.PermRead,
	}
	if len(h.claims) == 0 || h.claims[len(h.claims)-1] != want {
		t.Errorf("claims %+v, want %+v", h.claims, want)
	}
}
