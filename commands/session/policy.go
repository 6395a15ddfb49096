package session

import (
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/verify"
)

// ReadFile gives at most limit bytes of a file, see verify.Parser.
type ReadFile = func(name string, limit int) ([]byte, error)

// Policy is what a dialect decides besides its table and its printer. The session, the opener and
// the parser of flags read it; commands never do.
type Policy struct {
	// Split takes a line apart that nobody has split.
	Split func(line string) ([]string, error)
	// Numbers and Pattern read sizes and the value of -P, which may name a file.
	Numbers args.Grammar
	Pattern func(word string, read ReadFile) (verify.Pattern, error)
	// Sizes reads sizes in options of drivers; nil for QEMU's way. Times reads the operand of
	// sleep.
	Sizes driver.SizeGrammar
	Times func(word string) (time.Duration, error)
	// MaxRequest is the longest request that one command may make, in bytes.
	MaxRequest int64
	// Stream: long requests are made piece by piece, several at a time, and do not read what the
	// image knows to be zero.
	Stream bool
	// MaxLine is where a line that comes from no terminal is cut, the rest being the next line; 0
	// is nowhere.
	MaxLine int
	// AskPermission: whether a command may write is settled before its flags are read, and not by
	// the request.
	AskPermission bool
	// Status is what a failed command makes of the exit status, 0 if nothing. The status is the
	// gravest of all.
	Status func(err error) int
	// Lost is the status of what the system failed at, which nothing outweighs, 0 for none.
	Lost int
	// LastCounts: whoever leaves the prompt does so with the status of the last command.
	LastCounts bool
	// BackgroundStatus: the failure of a request in the background counts as the failure of a
	// command.
	BackgroundStatus bool
	// CloseCounts: an image that cannot be closed properly is a failure, of the command that closes
	// it or of the program.
	CloseCounts bool
	// OutputCounts: standard output that cannot be written to is a failure, and ends everything.
	OutputCounts bool
	// StopAtFailure: no line is read after one that failed, unless Config.Interactive.
	StopAtFailure bool
	// InterruptKills: Ctrl-C ends the program and not only the command.
	InterruptKills bool
	// OpenFailureEnds: so it is after a failed open, but with the status as it was.
	OpenFailureEnds bool
	// StartWithout: an image of the command line that cannot be opened does not end the program.
	StartWithout bool
	// Repairs: an image that cannot be opened before it is repaired fails the first command that
	// needs it, so that a check may be the first.
	Repairs bool
	// OpenUnmaps: an image of the command open gets its discards.
	OpenUnmaps bool
	// Understands looks at an image that was opened and fails if that version could not have read
	// it. Nil for every image.
	Understands func(*blockdev.Device) error
	// PasswordLine: the passphrase of an encrypted image is the next line of standard input.
	PasswordLine bool
	// Locks: image locks are taken.
	Locks bool
	// Several: images have names, and more than one may be open.
	Several bool
	// Careful: block devices of the host are written to only if that is asked for, and not while
	// others use them. What an image asks for that is the user's to give is refused.
	Careful bool
	// LikeQEMU, ExactDiscard: see blockdev.OpenConfig.
	LikeQEMU, ExactDiscard bool
	// Alone: images are not shared with programs that write them, unless that is asked for.
	Alone bool
	// WholeBlocks: with O_DIRECT, writes of parts of blocks are refused unless they are asked for.
	WholeBlocks bool
	// AIOFallback: native AIO without O_DIRECT is no error but a reason for threads.
	AIOFallback bool
}

// Gravest is the exit status of a run that has two: the higher one, but for what was lost, so that
// a run that was stopped and could not store what it had written does not look as if it was only
// stopped.
func (p *Policy) Gravest(a, b int) int {
	if p.Lost != 0 && (a == p.Lost || b == p.Lost) {
		return p.Lost
	}
	return max(a, b)
}
