package format

import (
	"testing"

	"pgregory.net/rapid"
)

// TestDeferredFrees compares the ranges with a sort and an age for each byte.
func TestDeferredFrees(t *testing.T) {
	const room = 64
	type note struct {
		there, punch bool
		epoch        uint64
	}
	rapid.Check(t, func(rt *rapid.T) {
		var d DeferredFrees
		var bytes [room]note
		epoch := uint64(0)
		span := func() (off, n int64) {
			off = rapid.Int64Range(0, room-1).Draw(rt, "off")
			return off, rapid.Int64Range(1, room-off).Draw(rt, "n")
		}
		empty := func() bool {
			for _, b := range bytes {
				if b.there {
					return false
				}
			}
			return true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				off, n := span()
				for _, b := range bytes[off : off+n] {
					if b.there {
						rt.Skip("what was given back is not given back again")
					}
				}
				punch := rapid.Bool().Draw(rt, "punch")
				d.Add(off, n, punch)
				for i := range bytes[off : off+n] {
					bytes[off+int64(i)] = note{true, punch, epoch}
				}
			},
			"drop": func(*rapid.T) {
				off, n := span()
				d.Drop(off, n)
				clear(bytes[off : off+n])
			},
			"settle": func(rt *rapid.T) {
				mark := d.Mark()
				if mark == 0 != empty() {
					rt.Fatalf("mark %d", mark)
				}
				if mark == 0 {
					return
				}
				epoch = mark
				if rapid.Bool().Draw(rt, "later") {
					return
				}
				d.Settle(mark, func(s Span) {
					for i := s.Off; i < s.End(); i++ {
						if !bytes[i].there || !bytes[i].punch {
							rt.Fatalf("punches %+v", s)
						}
						bytes[i].punch = false
					}
				})
				for i, b := range bytes {
					if b.there && b.punch && b.epoch < mark {
						rt.Fatalf("byte %d is not punched", i)
					}
				}
				clear(bytes[:])
			},
			"": func(rt *rapid.T) {
				for i, b := range bytes {
					if d.Cover(int64(i), 1) != b.there {
						rt.Fatalf("byte %d: %v", i, !b.there)
					}
				}
				for i := 1; i < len(d.list); i++ {
					if before, e := d.list[i-1], d.list[i]; before.End() > e.Off ||
						before.End() == e.Off && before.alike(e) {
						rt.Fatalf("not joined or not in order: %+v", d.list)
					}
				}
			},
		})
	})
}
