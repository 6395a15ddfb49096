package commands

import (
	"context"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

// defaultByte is what is written when nobody says what.
const defaultByte = 0xcd

var write = session.Command{
	Name: "write", Alias: "w", Needs: session.File | session.Write,
	Group: session.GroupData,
	Elsewhere: []string{
		"zero: write -z", "fill: write -P", "pwrite", "wipe: write -z", "fzero: write -z",
		"shred: write -P random",
	},
	Args:  "[-bcCfnquz] [-P pattern | -s source_file | --hex bytes | --text text | --base64 bytes] [--verify [--all]] off len",
	Short: "writes a number of bytes at a specified offset",
	Long: ` Example:
 write -P 0xaa 4k 64k  fills 64 KiB from offset 4096 with 0xaa
 write -zu 0 1M        makes the first MiB zeroes and gives its space back
 write --hex 55aa 510  writes two bytes
 write -s - 0          writes what comes from standard input (with -c)

 What is written is repeated until the length is reached; without a length it
 is written once.
`,
	New: func(f *session.Flags) session.Run {
		w := newWriting("write")
		w.n = -1
		var name string
		var hasSource, positioned, registered bool
		var typed content
		f.Bool(&w.machine, 'b', "vmstate",
			"write the area for machine state behind the guest's data")
		f.Bool(&w.compressed, 'c', "compress", "store the data compressed")
		w.common(f)
		w.mark(f, blockdev.FUA, 'f', "fua", "the data is on stable storage afterwards")
		w.mark(f, blockdev.NoFallback, 'n', "no-fallback",
			"with -z: fail instead of writing zeroes byte by byte")
		f.Bool(&positioned, 'p', "", "accepted for old scripts")
		f.Pattern(&w.pattern, &w.patterned, 'P', "pattern", "PATTERN",
			"what to write; without it every byte is 0xcd")
		f.Bool(&registered, 'r', "", "accepted for scripts that register buffers")
		f.Flag('s', "source", args.File, "write the contents of a file; - is standard input",
			func(word string) error {
				name, hasSource = word, true
				return nil
			})
		typed.flags(f, "write")
		f.Bool(&w.prove, 0, "verify", "read back what was written, which cannot be done with -s")
		f.Bool(&w.all, 0, "all", "with --verify: list all that is wrong")
		f.Check("all", func() error { return onlyProven(w.all, w.prove) })
		w.mark(f, blockdev.MayUnmap, 'u', "unmap", "with -z: the space may be given back")
		f.Bool(&w.zero, 'z', "zero", "write zeroes")
		w.combinations(f, &positioned, &hasSource)
		w.extent(f, 1)
		f.Check("content", func() error { return w.settle(typed, hasSource) })
		w.limit(f, 'n', blockdev.NoFallback)
		f.Check("special-sectors", func() error {
			if !w.machine && !w.compressed {
				return nil
			}
			return w.aligned()
		})
		f.OfferConflict("z-r", "cannot combine zero write with registered I/O buffer",
			func() bool { return w.zero && registered })
		f.Offer("sectors", func() error {
			if positioned {
				return nil
			}
			return w.aligned()
		})
		f.Offer("p-is-plain", func() error {
			w.compressed = w.compressed && !positioned
			return nil
		})
		f.Offer("compresses", func() error { // asked before permission
			if w.compressed && f.Image().Dev.Info().WriteTakes&blockdev.Compressed == 0 {
				return event.FailOp("write", blockdev.ErrNotSupported)
			}
			return nil
		})
		f.Offer("one-cluster", func() error {
			if size := f.Image().Dev.Info().Cluster; w.compressed && size > 0 && w.n != size {
				return event.FailOp("write", syscall.EINVAL)
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if !hasSource && typed.bytes == nil {
				w.note(s)
			}
			if hasSource {
				src, err := w.from(ctx, s, name)
				if err != nil {
					return err
				}
				defer src.Close()
			}
			return w.run(ctx, s, im)
		}
	},
}

// onlyProven refuses --all where nothing is read back.
func onlyProven(all, prove bool) error {
	if all && !prove {
		return session.Missing("--verify")
	}
	return nil
}

// settle finds out what is written and how much of it.
func (w *writing) settle(typed content, hasSource bool) error {
	if typed.bytes != nil {
		if hasSource || w.patterned || w.zero {
			return event.Conflictf("only one of -z, -P, -s, --hex, --text and --base64 says what to write")
		}
		w.pattern = repeated{typed.bytes, w.off}
		if w.n < 0 {
			w.n = int64(len(typed.bytes))
		}
	}
	switch {
	case w.n < 0 && (!hasSource || w.machine || w.compressed):
		return session.Missing("len")
	case w.prove && (hasSource || w.machine):
		return event.Conflictf("--verify goes with neither -s nor -b; compare tells a file and an image apart")
	}
	return nil
}

// from takes the content from a file. Without a length that of the file counts or, where it has
// none, all that comes.
func (w *writing) from(ctx context.Context, s *session.Session, name string) (*source, error) {
	if name == "-" && s.Stdin == nil {
		return nil, event.Conflictf("standard input is where the commands come from; with -c it can be written")
	}
	src, err := openSource(ctx, name, s.Stdin)
	if err == nil && w.n < 0 {
		w.n = src.length()
	}
	if err == nil && w.n >= 0 {
		err = src.prepare(w.n)
		w.fill = src.fill
	} else if err == nil {
		w.more = src.toEnd
	}
	if err != nil {
		return nil, event.FailFile(name, bare(err))
	}
	return src, nil
}

// combinations declares which flags of write do not go together.
func (w *writing) combinations(f *session.Flags, positioned, hasSource *bool) {
	has := func(bit blockdev.Flags) bool { return w.flags&bit != 0 }
	f.OfferConflict("b-p-z", "-b, -p, or -z cannot be specified at the same time", func() bool {
		return count(w.machine, *positioned, w.zero) > 1
	})
	f.OfferConflict("z-P", "-z and -P cannot be specified at the same time",
		func() bool { return w.zero && w.patterned })
	f.Conflict("b-z", "-b and -z cannot be specified at the same time",
		func() bool { return w.machine && w.zero })
	f.Conflict("f-bc", "-f and -b or -c cannot be specified at the same time", func() bool {
		return has(blockdev.FUA) && (w.machine || w.compressed)
	})
	f.Conflict("n-z", "-n requires -z to be specified",
		func() bool { return has(blockdev.NoFallback) && !w.zero })
	f.Conflict("u-z", "-u requires -z to be specified",
		func() bool { return has(blockdev.MayUnmap) && !w.zero })
	f.Conflict("one-source", "Only one of -z, -P, and -s can be specified at the same time",
		func() bool {
			return count(w.zero, w.patterned, *hasSource) > 1
		})
}

func count(flags ...bool) int {
	n := 0
	for _, is := range flags {
		if is {
			n++
		}
	}
	return n
}

var writev = session.Command{
	Name: "writev", Needs: session.File | session.Write,
	Group: session.GroupData,
	Args:  "[-Cfq] [-P pattern] off len [len..]",
	Short: "writes a number of bytes at a specified offset",
	Long: ` Example:
 writev 512 1k 1k      2 KiB at offset 512, as one request with two buffers
`,
	New: func(f *session.Flags) session.Run {
		w := newWriting("writev")
		w.vectorFlags(f)
		w.vector(f, nil)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			w.note(s)
			return w.work(s).wait(ctx, s, im)
		}
	},
}

var aioWrite = session.Command{
	Name: "aio_write", Needs: session.File | session.Write,
	Group: session.GroupBackground,
	Args:  "[-Cfiquz] [-P pattern] off len [len..]",
	Short: "asynchronously writes a number of bytes",
	Long: ` Example:
 aio_write -P 7 0 64k  starts a write
 aio_flush             waits for it
`,
	New: func(f *session.Flags) session.Run {
		w := newWriting("aio_write")
		w.vectorFlags(f)
		f.Instead('i', "invalid", "count an invalid request instead of making one", inject("write"))
		w.mark(f, blockdev.MayUnmap, 'u', "unmap", "with -z: the space may be given back")
		f.Bool(&w.zero, 'z', "zero", "write zeroes")
		f.Check("z-single", func() error {
			if w.zero && f.Operands() != 2 {
				return event.Conflictf("-z supports only a single length parameter")
			}
			return nil
		})
		f.Conflict("u-z", "-u requires -z to be specified",
			func() bool { return w.flags&blockdev.MayUnmap != 0 && !w.zero })
		w.vector(f, func() bool { return w.zero })
		f.OfferConflict("z-r", "cannot combine zero write with registered I/O buffer",
			func() bool { return w.zero && w.registered })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			w.note(s)
			return w.start(ctx, s, im, w.memory(), func() work { return w.work(s) })
		}
	},
}

// note tells the session if nobody said what to write.
func (w *writing) note(s *session.Session) {
	if !w.zero && !w.patterned {
		s.Fill()
	}
}

// writing is a request to store data.
type writing struct {
	transfer
	machine    bool // to the area for machine state
	compressed bool
	zero       bool
	registered bool

	patterned bool
	pattern   verify.Pattern
	// fill makes the bytes that belong at an offset from the start of the request; nil: the pattern
	// does.
	fill func(p []byte, at int64) error
	// more gets the bytes that come next, for a request that is as long as they are.
	more func(p []byte) (int, error)

	prove, all bool // read back; list all that is wrong
}

func newWriting(op string) *writing {
	return &writing{
		transfer: transfer{op: op, verb: event.Wrote},
		pattern:  verify.Byte(defaultByte),
	}
}

// vectorFlags declares the flags of the vectored writes.
func (w *writing) vectorFlags(f *session.Flags) {
	w.common(f)
	w.mark(f, blockdev.FUA, 'f', "fua", "the data is on stable storage afterwards")
	f.Pattern(&w.pattern, &w.patterned, 'P', "pattern", "PATTERN",
		"what to write; without it every byte is 0xcd")
	f.Bool(&w.registered, 'r', "", "accepted for scripts that register buffers")
}

// work makes the request. What of -b, -z and -c was given first in this order decides.
func (w *writing) work(s *session.Session) work {
	if w.zero && !w.machine {
		return w.plain(
			func(ctx context.Context) error { return w.dev.Zero(ctx, w.off, w.n, w.flags) })
	}
	buf := w.buffer(s)
	return work{
		t:  &w.transfer,
		do: func(ctx context.Context) error { return w.store(ctx, buf) },
		done: func(s *session.Session) error {
			w.report(s)
			return nil
		},
		free: func(s *session.Session) { s.Recycle(buf) },
	}
}

func (w *writing) store(ctx context.Context, buf []byte) error {
	size := w.dev.Size()
	flags := w.flags
	if w.compressed {
		flags |= blockdev.Compressed
	}
	if w.machine {
		size = math.MaxInt64
	}
	return w.pieces(size, buf, func(v blockdev.Vec, off int64) error {
		if err := w.make(buf[:v.Len()], off); err != nil {
			return err
		}
		return w.timed(func() error {
			if w.machine {
				return w.dev.WriteVMState(ctx, v, off)
			}
			return w.dev.Write(ctx, v, off, flags)
		})
	})
}

// make puts into p what belongs at off.
func (w *writing) make(p []byte, off int64) error {
	if w.fill != nil {
		return w.fill(p, off-w.off)
	}
	w.pattern.Fill(p, off)
	return nil
}
