package commands

import (
	"cmp"
	"context"
	"errors"
	"math"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

var read = session.Command{
	Name: "read", Alias: "r", Needs: session.File,
	Group: session.GroupData, Paged: true,
	Args: "[-bCqv] [-P pattern [-s off] [-l len] [--all] [--draw] [--svg file]] [--style style] [--words n] [--fold] [-o file] [off [len]]",
	Elsewhere: []string{
		"hexdump: read -v", "dump: read -v", "xxd: read -v --style xxd", "pread", "cat: read -o -",
		"save: read -o FILE", "peek: read -v",
	},
	Short: "reads a number of bytes at a specified offset",
	Long: ` Example:
 read -v 4k 64          shows 64 bytes from offset 4096
 read -v                shows the first 512 bytes, then each time the next
 read -P 0xcd 0 1M      checks that the first MiB holds nothing but 0xcd
 read -o boot.bin ..1M  saves the first MiB

 With -P and -o a range that is not given is all of the image. The file of -o
 appears when all bytes were read; until then, and if that fails, what was there
 stays. Never is it an image that is open, here or elsewhere, nor a device that
 is in use; any other device takes --force.
`,
	New: func(f *session.Flags) session.Run {
		r := newReading("read")
		r.off, r.n = -1, -1
		var partOff, partLen int64
		var hasOff, hasLen, machine, registered, positioned bool
		f.Bool(&machine, 'b', "vmstate", "read the area for machine state behind the guest's data")
		r.common(f)
		f.Size(&partLen, &hasLen, 'l', "length", "LEN", "with -P: check only so many bytes")
		f.Bool(&positioned, 'p', "", "accepted for old scripts")
		f.Pattern(&r.checking.pattern, &r.check, 'P', "pattern", "PATTERN", "check what was read")
		f.Bool(&registered, 'r', "", "accepted for scripts that register buffers")
		f.Size(&partOff, &hasOff, 's', "start", "OFF", "with -P: start checking so many bytes in")
		f.Bool(&r.show, 'v', "verbose", "show the bytes")
		r.nativeFlags(f)
		f.OfferConflict("b-p", "-b and -p cannot be specified at the same time",
			func() bool { return machine && positioned })
		r.extent(f, 2)
		f.Check("where", func() error { return r.place(f.Position(), f.End()) })
		r.limit(f, 0, 0)
		f.Check("part-of-pattern", func() error {
			if !r.check && (hasOff || hasLen || r.all || r.drawing.wanted()) {
				return session.Missing("-P PATTERN")
			}
			return nil
		})
		f.Check("part", func() error {
			if !hasLen {
				partLen = r.n - partOff
			}
			if partLen < 0 || partOff > r.n || partLen > r.n-partOff {
				return event.Conflictf("pattern verification range exceeds end of read data")
			}
			r.checkOff, r.checkLen = partOff, partLen
			return nil
		})
		f.Check("machine-sectors", func() error {
			if !machine {
				return nil
			}
			return r.aligned()
		})
		f.OfferConflict("b-r", "I/O buffer registration is not supported when reading from vmstate",
			func() bool {
				return machine && registered
			})
		f.Offer("sectors", func() error {
			if positioned {
				return nil
			}
			return r.aligned()
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			r.machine = machine
			return r.run(ctx, s, im)
		}
	},
}

var readv = session.Command{
	Name: "readv", Needs: session.File,
	Group: session.GroupData, Paged: true,
	Args:  "[-Cqv] [-P pattern] off len [len..]",
	Short: "reads a number of bytes at a specified offset",
	Long: ` Example:
 readv -v 512 1k 1k    reads and shows 2 KiB, as one request with two buffers
`,
	New: func(f *session.Flags) session.Run {
		r := newReading("readv")
		r.vectorFlags(f)
		r.vector(f, nil)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			r.checkLen = r.n
			return r.run(ctx, s, im)
		}
	},
}

var aioRead = session.Command{
	Name: "aio_read", Needs: session.File,
	Group: session.GroupBackground,
	Args:  "[-Ciqv] [-P pattern] off len [len..]",
	Short: "asynchronously reads a number of bytes",
	Long: ` Example:
 aio_read -P 1 0 64k   starts a read that is checked when it is done
 aio_flush             waits for it
`,
	New: func(f *session.Flags) session.Run {
		r := newReading("readv") // qemu-io names it so as well
		r.vectorFlags(f)
		f.Instead('i', "invalid", "count an invalid request instead of making one", inject("read"))
		r.vector(f, nil)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			r.checkLen = r.n
			return r.start(ctx, s, im, r.memory(), func() work { return r.work(s) })
		}
	},
}

// inject stands in for a request that is only counted.
func inject(op string) session.Run {
	return func(_ context.Context, s *session.Session, _ *session.Image) error {
		s.Emit(event.Injected{Op: op})
		return nil
	}
}

// reading is a request for data, with what is to be done with them.
type reading struct {
	transfer
	view
	machine bool // from the area for machine state

	check              bool
	checkOff, checkLen int64 // the part to check, from t.off on
	checking           checking
	all                bool // list all that is wrong
	drawing            drawing

	buf []byte
}

func newReading(op string) *reading {
	return &reading{transfer: transfer{op: op, verb: event.Read}}
}

// vectorFlags declares the flags of the vectored reads.
func (r *reading) vectorFlags(f *session.Flags) {
	r.common(f)
	f.Pattern(&r.checking.pattern, &r.check, 'P', "pattern", "PATTERN", "check what was read")
	f.Ignored('r', "", "accepted for scripts that register buffers")
	f.Bool(&r.show, 'v', "verbose", "show the bytes")
}

// untouched fills memory before a read, as in qemu-io: it shows where a driver stores nothing, as
// null does.
var untouched = verify.Byte(0xab)

// work makes the request.
func (r *reading) work(s *session.Session) work {
	r.buf = r.buffer(s)
	untouched.Fill(r.buf, 0)
	r.ready()
	return work{
		t:    &r.transfer,
		do:   func(ctx context.Context) error { return r.each(ctx, r.compare) },
		done: r.conclude,
		free: func(s *session.Session) { s.Recycle(r.buf) },
	}
}

// each reads the range and hands on its pieces.
func (r *reading) each(ctx context.Context, then func(p []byte, off int64)) error {
	return r.pieces(r.size(), r.buf, func(v blockdev.Vec, off int64) error {
		err := r.timed(func() error {
			if r.machine {
				return r.dev.ReadVMState(ctx, v, off)
			}
			return r.dev.Read(ctx, v, off, r.flags)
		})
		if err == nil {
			then(r.buf[:v.Len()], off)
		}
		return err
	})
}

// size is where reading ends.
func (r *reading) size() int64 {
	if r.machine {
		return math.MaxInt64
	}
	return r.dev.Size()
}

// compare checks the part of a piece that is to be checked.
func (r *reading) compare(p []byte, off int64) {
	if r.check {
		r.checking.look(p, off)
	}
}

// conclude shows what was read. Bytes that are no longer in memory are read again, since nothing of
// them may be shown before all of them could be read.
func (r *reading) conclude(s *session.Session) error {
	var outcome error
	if r.output != stdout { // nothing but the bytes goes there before they end
		outcome = r.complain(s)
	}
	if r.wanted() {
		elapsed := r.elapsed
		if err := r.hand(s); err != nil {
			return s.Also(outcome, r.failed(err))
		}
		r.elapsed = elapsed
	}
	if r.output == stdout {
		outcome = r.complain(s)
	}
	r.report(s)
	return outcome
}

// complain shows what is wrong with what was read.
func (r *reading) complain(s *session.Session) error {
	err := r.checking.outcome()
	var bad *event.Failure
	if !errors.As(err, &bad) {
		return nil
	}
	s.Emit(bad.Event)
	return session.Shown(bad)
}

// hand shows or saves the bytes.
func (r *reading) hand(s *session.Session) error {
	if r.n <= int64(len(r.buf)) {
		return r.put(context.Background(), s.Emit,
			stream.Piece{Off: r.off, Len: r.n, Data: r.buf[:r.n]}, true)
	}
	var failed error
	err := r.each(context.Background(), func(p []byte, off int64) {
		n := int64(len(p))
		if err := r.put(context.Background(), s.Emit, stream.Piece{Off: off, Len: n, Data: p},
			off+n == r.off+r.n); err != nil && failed == nil {
			failed = err
		}
	})
	return cmp.Or(err, failed)
}
