package dialect

import (
	"io"
	"math"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

// splitNative splits a line of the shell's own.
func splitNative(line string) ([]string, error) { return args.SplitNative(line, true) }

// patternOrFile reads a pattern, of which what stands in quotes is the content of a file.
func patternOrFile(word string, read session.ReadFile) (verify.Pattern, error) {
	return verify.Parser{ReadFile: read}.Parse(word)
}

// native is the shell's own dialect: everything.
func native() Dialect {
	return Dialect{
		Policy: session.Policy{
			Split: splitNative, Numbers: args.Native, Sizes: args.OptionSize,
			Times:         args.Duration,
			Pattern:       patternOrFile,
			MaxRequest:    math.MaxInt64,
			Stream:        true,
			AskPermission: true, Locks: true, OpenUnmaps: true,
			Several: true, Careful: true, Alone: true, WholeBlocks: true, Repairs: true,
			StopAtFailure: true, LastCounts: true, BackgroundStatus: true, CloseCounts: true,
			OutputCounts: true,
			Status:       nativeStatus, Lost: statusIO,
		},
		Printer: func(out *print.Stdout, errs io.Writer, program string) session.Printer {
			return print.NewNative(out, errs, program)
		},
		Program: programNative(),
	}
}
