package hexedit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// memory is a disk of bytes. Zeroes are known where holes says so, in units of 64 bytes.
type memory struct {
	bytes []byte
	holes map[int64]bool
	bad   int64         // the byte that cannot be read, if it is above 0
	hangs chan struct{} // if it is there, reading waits for it, or for its context
	reads int64         // bytes
}

func (m *memory) Read(ctx context.Context, p []byte, off int64) error {
	if m.hangs != nil {
		select {
		case <-m.hangs:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if m.bad > 0 && off <= m.bad && m.bad < off+int64(len(p)) {
		return syscall.EIO
	}
	m.reads += int64(len(p))
	copy(p, m.bytes[off:])
	return nil
}

func (m *memory) Zeroes(_ context.Context, off, n int64) (int64, error) {
	at := off
	for at < off+n && m.holes[at/64] {
		at = (at/64 + 1) * 64
	}
	return min(at, off+n) - off, nil
}

func (m *memory) Prepare(context.Context) (string, error) { return "log", nil }

func (m *memory) Write(_ context.Context, changes []Change) error {
	for _, c := range changes {
		if !c.Holds(m.bytes[c.Off:][:len(c.Old)]) {
			return &ForeignError{c.Off}
		}
		copy(m.bytes[c.Off:], c.New)
	}
	return nil
}

// TestBuffer holds changes, undo and redo against copies of the bytes after each step.
func TestBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := &memory{bytes: rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "disk")}
		var b Buffer
		states, now := [][]byte{bytes.Clone(disk.bytes)}, 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				if _, ok := b.Undo(); ok != (now > 0) {
					t.Fatalf("undo: %v after %d steps", ok, now)
				}
				now = max(0, now-1)
			case 1:
				if _, ok := b.Redo(); ok != (now < len(states)-1) {
					t.Fatalf("redo: %v at %d of %d", ok, now, len(states))
				}
				now = min(now+1, len(states)-1)
			default:
				off, to := rapid.Int64Range(0, 15).Draw(t, "off"), rapid.Byte().Draw(t, "to")
				if err := b.Set(off, to); err != nil {
					t.Fatal(err)
				}
				next := bytes.Clone(states[now])
				next[off] = to
				states, now = append(states[:now+1], next), now+1
			}
			got := bytes.Clone(disk.bytes)
			b.Apply(got, 0)
			if !bytes.Equal(got, states[now]) {
				t.Fatalf("%x, want %x", got, states[now])
			}
		}
		changes, err := b.Changes(context.Background(), disk)
		if err != nil {
			t.Fatal(err)
		}
		end := int64(0)
		for _, c := range changes {
			if c.Off < end || len(c.New) == 0 {
				t.Fatalf("ranges that touch or are out of order: %v", changes)
			}
			end = c.Off + int64(len(c.New)) + 1
			for i := range c.New {
				if c.Old[i] == c.New[i] {
					t.Fatalf("a byte that does not change is listed: %v", c)
				}
			}
		}
		if err := disk.Write(context.Background(), changes); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(disk.bytes, states[now]) {
			t.Fatalf("written: %x, want %x", disk.bytes, states[now])
		}
	})
}

func TestBufferIsBounded(t *testing.T) {
	var b Buffer
	for range mostChanged {
		if err := b.Set(0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Set(0, 1); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

// TestSearch holds both directions against package bytes, on disks with holes and changes.
func TestSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]byte("\x00ab"))
		disk := &memory{
			bytes: rapid.SliceOfN(letters, 1, 400).Draw(t, "disk"),
			holes: map[int64]bool{},
		}
		for unit := range int64(7) {
			if rapid.Bool().Draw(t, "hole") {
				disk.holes[unit] = true
				size := int64(len(disk.bytes))
				clear(disk.bytes[min(unit*64, size):min(unit*64+64, size)])
			}
		}
		f := finder{disk: disk, buffer: &Buffer{}, size: int64(len(disk.bytes))}
		f.wanted = rapid.SliceOfN(letters, 1, 5).Draw(t, "wanted")
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			off := rapid.Int64Range(0, f.size-1).Draw(t, "off")
			if err := f.buffer.Set(off, letters.Draw(t, "to")); err != nil {
				t.Fatal(err)
			}
		}
		all := bytes.Clone(disk.bytes)
		f.buffer.Apply(all, 0)
		from := rapid.Int64Range(0, f.size).Draw(t, "from")
		want := int64(nowhere)
		if i := bytes.Index(all[from:], f.wanted); i >= 0 {
			want = from + int64(i)
		}
		if got, err := f.forward(context.Background(), from); got != want || err != nil {
			t.Fatalf("forward from %d: %d, %v, want %d", from, got, err, want)
		}
		last := min(f.size, from+int64(len(f.wanted))-1)
		want = int64(bytes.LastIndex(all[:last], f.wanted))
		if got, err := f.backward(context.Background(), from); got != want || err != nil {
			t.Fatalf("backward from %d: %d, %v, want %d", from, got, err, want)
		}
	})
}

// A desk is a screen whose keys are there from the beginning. Behind them the terminal is gone.
type desk struct {
	run  context.Context // of the editor
	keys []string
	rows []string
	busy func() // called when a key is asked for while the disk is busy and there is none
}

func (d *desk) Size() (int, int) { return 6, 80 }

func (d *desk) Draw(rows []string, _, _ int) error {
	d.rows = slices.Clone(rows)
	return nil
}

func (d *desk) Key(ctx context.Context) (string, error) {
	if len(d.keys) == 0 && ctx != d.run && d.busy != nil {
		d.busy()
	}
	if len(d.keys) == 0 {
		if ctx == d.run {
			return "", io.EOF
		}
		<-ctx.Done()
		return "", context.Cause(ctx)
	}
	key := d.keys[0]
	d.keys = d.keys[1:]
	return key, nil
}

func TestUnreadable(t *testing.T) {
	disk := &memory{bytes: bytes.Repeat([]byte("x"), 48), bad: 17}
	screen := &desk{run: t.Context(), keys: []string{"down", "right", "0"}}
	_, err := New(Config{Name: "d", Size: 48, Sector: 16}, disk, screen).Run(t.Context())
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if last := screen.rows[len(screen.rows)-1]; !strings.Contains(last, "could not be read") {
		t.Errorf("a byte was changed that nobody has seen: %q", last)
	}
	for i, want := range []string{"78 78", "??", "78 78"} {
		if !strings.Contains(screen.rows[i+1], want) {
			t.Errorf("row %d: %q", i, screen.rows[i+1])
		}
	}
}

// TestStop presses Ctrl-C while the disk does not answer: what is under way ends, and the editor
// goes on; where it does not end a second one ends the editor.
func TestStop(t *testing.T) {
	disk := &memory{bytes: make([]byte, 100), hangs: make(chan struct{})}
	pressed := false
	screen := &desk{}
	screen.busy = func() {
		if !pressed {
			pressed, screen.keys = true, []string{"ctrl-c"}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	e := New(Config{Name: "d", Size: 100}, disk, screen)
	if err := e.show(ctx); err != nil {
		t.Fatal(err)
	}
	if last := screen.rows[len(screen.rows)-1]; last != "stopped" {
		t.Errorf("%q", last)
	}
	cancel()
	e.window.drop()
	if err := e.show(ctx); !errors.Is(err, context.Canceled) {
		t.Error("it goes on when everything has ended")
	}
}

// TestGoTo wants offsets near the largest number to be nothing special.
func TestGoTo(t *testing.T) {
	e := New(Config{
		Name: "d", Size: 1 << 62, Offset: 1 << 61,
		Parse: func(word string) (int64, error) { return strconv.ParseInt(word, 10, 64) },
	}, &memory{}, &desk{})
	for _, c := range []struct {
		word string
		want int64
	}{
		{"+9223372036854775807", 1 << 61},
		{"-9223372036854775807", 1 << 61},
		{"9223372036854775807", 1 << 61},
		{"-1", 1<<61 - 1},
		{"+4611686018427387903", 1<<61 - 1},
		{"0", 0},
	} {
		if err := e.goToWord(t.Context(), c.word); err != nil || e.cursor != c.want {
			t.Errorf("%s: %d, %v, want %d", c.word, e.cursor, err, c.want)
		}
	}
}
