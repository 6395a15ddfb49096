package session

import (
	"strconv"

	"github.com/blksh/blksh/commands/args"
)

// span is where the two operands of a range are. The zero value is none.
type span struct {
	first   int // from 1; 0 without a range
	missing int // how many of them may be missing
}

// spares says whether the operand at a position may be left out.
func (s span) spares(at int) bool {
	last := s.first // counted from 0
	return s.first > 0 && at <= last && at > last-s.missing
}

// Range says that the two operands declared next are an offset and a length. Natively they may be
// written as one word, START..END, and the last ones, so many as missing says, may be left out;
// what they are read into keeps its value then. Other dialects want both.
func (f *Flags) Range(missing int) {
	if f.spec == nil {
		f.span = span{first: f.operands + 1, missing: missing}
	}
}

// expandRange writes START..END as an offset and a length.
func (f *Flags) expandRange(operands []string) ([]string, error) {
	at := f.span.first - 1
	if at < 0 || at >= len(operands) || !args.IsRange(operands[at]) {
		return operands, nil
	}
	word := operands[at]
	off, n, err := args.ParseRange(word, f.env)
	if err != nil {
		return nil, f.badNumber("range", word, args.NonNumeric, err)
	}
	expanded := make([]string, 0, len(operands)+1)
	expanded = append(expanded, operands[:at]...)
	expanded = append(expanded, strconv.FormatInt(off, 10), strconv.FormatInt(n, 10))
	return append(expanded, operands[at+1:]...), nil
}

// End is the size of the image in bytes, -1 without one.
func (f *Flags) End() int64 { return f.env.End }

// Position is that of the image: where the next bytes are for a command that is not told where.
func (f *Flags) Position() int64 { return f.position }

// Streams says whether long requests go in pieces, see Policy.
func (f *Flags) Streams() bool { return f.policy.Stream }
