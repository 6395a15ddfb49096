package verify

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxPattern is the length limit of a literal pattern in bytes, that of fio since 3.34.
const MaxPattern = 128 << 20

// maxStamps is how many %o fio allows in one pattern.
const maxStamps = 8

// stampLen is the length of what %o stands for.
const stampLen = 8

// A Literal is a pattern of given bytes. It starts anew at each multiple of interval; within one
// the text repeats. At the stamps stands, as a little-endian word, the offset of the interval.
type Literal struct {
	text     string
	Unit     []byte
	Stamps   []int // offsets into unit, ascending
	interval int64 // 0: the unit repeats from offset 0, and each is an interval
}

func (l *Literal) String() string { return l.text }

// period is the interval, or what stands for it.
func (l *Literal) period() int64 {
	if l.interval > 0 {
		return l.interval
	}
	return int64(len(l.Unit))
}

// plain reports whether the unit repeats over the whole device unchanged.
func (l *Literal) plain() bool {
	return len(l.Stamps) == 0 && (l.interval == 0 || l.interval%int64(len(l.Unit)) == 0)
}

func (l *Literal) Fill(p []byte, off int64) {
	if l.plain() {
		fillPeriod(p, l.Unit, int(off%int64(len(l.Unit))))
		return
	}
	period := l.period()
	for len(p) > 0 {
		in := off % period
		n := int(min(int64(len(p)), period-in))
		fillPeriod(p[:n], l.Unit, int(in%int64(len(l.Unit))))
		l.stamp(p[:n], in, off-in)
		p, off = p[n:], off+int64(n)
	}
}

// stamp writes start over every %o that p contains, wholly or in part; p
// begins at byte in of the interval.
func (l *Literal) stamp(p []byte, in, start int64) {
	if len(l.Stamps) == 0 {
		return
	}
	var word [stampLen]byte
	binary.LittleEndian.PutUint64(word[:], uint64(start))
	unit := int64(len(l.Unit))
	for base := -(in % unit); base < int64(len(p)); base += unit {
		for _, at := range l.Stamps {
			from := base + int64(at)
			if from < 0 {
				copy(p, word[min(-from, stampLen):])
			} else if from < int64(len(p)) {
				copy(p[from:], word[:])
			}
		}
	}
}

func (l *Literal) match(p []byte, off int64) bool {
	return l.plain() && MatchPeriod(p, l.Unit, int(off%int64(len(l.Unit))))
}

func (l *Literal) locate(got []byte, off int64) (int64, bool) {
	if len(l.Stamps) > 0 {
		return l.locateStamp(got, off)
	}
	const probe = 16
	unit := int64(len(l.Unit))
	if l.interval > 0 || unit < 2*probe || len(got) < probe {
		return 0, false
	}
	at := bytes.Index(l.Unit, got[:probe])
	if at < 0 {
		return 0, false
	}
	home := off + (int64(at)-off%unit+unit)%unit
	if home-off > unit/2 && home >= unit {
		home -= unit
	}
	return home, true
}

// locateStamp reads the first whole %o of got as if got were not shifted against the interval.
func (l *Literal) locateStamp(got []byte, off int64) (int64, bool) {
	period := l.period()
	in := off % period
	unit := int64(len(l.Unit))
	for base := -(in % unit); base < int64(len(got)); base += unit {
		from := base + int64(l.Stamps[0])
		if from < 0 || from+stampLen > int64(len(got)) || in+from+stampLen > period {
			continue
		}
		start := binary.LittleEndian.Uint64(got[from:])
		if start > math.MaxInt64-uint64(period) || int64(start)%period != 0 {
			return 0, false
		}
		return int64(start) + in, true
	}
	return 0, false
}

// Instance fills p with one interval of the pattern that starts at p[0], and
// whose %o is start. It is how fio fills the buffer of one request.
func (l *Literal) Instance(p []byte, start int64) {
	fillPeriod(p, l.Unit, 0)
	l.stamp(p, 0, start)
}

// A Parser reads patterns. Its zero value reads everything but files.
type Parser struct {
	// ReadFile returns at most limit bytes of the file that a quoted name
	// 'name' stands for; nil refuses such names.
	ReadFile func(name string, limit int) ([]byte, error)
	// Interval is where a literal pattern starts anew, in bytes: at each multiple. %o is the offset
	// of the interval. 0 repeats the text from offset 0 on, and %o is the offset of the repetition.
	Interval int64
	// Limit is the greatest length of a literal in bytes; 0 is MaxPattern. fio
	// up to 3.33 has 512. A file is cut there, anything else is refused.
	Limit int
}

// PatternForms are the forms that a Parser reads, in the words of Parse.
func PatternForms() []string {
	return []string{
		"zero", "random:SEED", "stamp", "stamp:TAG", `"text"`, "0xHEX", "NUMBER", "%o",
		"'name'",
	}
}

// ParsePattern reads a pattern with the zero Parser.
func ParsePattern(s string) (Pattern, error) { return Parser{}.Parse(s) }

// Parse reads a pattern:
//
//	zero                 zeroes
//	random:SEED          pseudorandom bytes of the seed
//	stamp or stamp:TAG   each sector's offset and the tag
//
// or a literal in the grammar of fio's verify_pattern (measured on fio 2.2 to
// 3.42): a concatenation, without separators, of
//
//	"text"    the bytes between the quotes; there are no escapes
//	0xHEX     bytes in the written order; of an odd number of digits the
//	          first is a byte alone
//	NUMBER    decimal, of 32 bits, little endian in as few bytes as it
//	          needs; a negative number has four
//	%o        the offset of the interval, 8 bytes, little endian
//	'name'    the content of a file
func (ps Parser) Parse(s string) (Pattern, error) {
	if p, ok, err := parseNamed(s); ok {
		return p, err
	}
	l, err := ps.Literal(s)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", Brief(s), err)
	}
	if len(l.Unit) == 1 {
		return Byte(l.Unit[0]), nil
	}
	return l, nil
}

// parseNamed reads the patterns that have a name; ok is false for others.
func parseNamed(s string) (p Pattern, ok bool, err error) {
	name, arg, has := strings.Cut(s, ":")
	switch {
	case name == "zero" && !has:
		return Zero(), true, nil
	case name == "stamp" && !has:
		return Stamp(0), true, nil
	case (name == "stamp" || name == "random") && has:
		n, err := strconv.ParseUint(arg, 0, 64)
		if err != nil {
			return nil, true, fmt.Errorf("pattern %s: %q is no number of 64 bits", name, arg)
		}
		if name == "stamp" {
			return Stamp(n), true, nil
		}
		return Random(n), true, nil
	}
	return nil, false, nil
}

// Brief is the beginning of a word of a user, for an error.
func Brief(s string) string {
	if len(s) > 40 {
		s = s[:37] + "..."
	}
	return s
}

// Literal reads a pattern of fio's grammar.
func (ps Parser) Literal(s string) (*Literal, error) {
	l := &Literal{text: s, interval: ps.Interval}
	if ps.Interval < 0 {
		return nil, errors.New("negative interval")
	}
	limit := ps.Limit
	if limit <= 0 {
		limit = MaxPattern
	}
	for rest := s; rest != ""; {
		var err error
		switch {
		case rest[0] == '"':
			rest, err = l.quoted(rest)
		case rest[0] == '\'':
			rest, err = l.file(rest, ps.ReadFile, limit)
		case rest[0] == '%':
			rest, err = l.format(rest)
		case isHex(rest):
			rest, err = l.hex(rest)
		default:
			rest, err = l.decimal(rest)
		}
		if err != nil {
			return nil, err
		}
		if len(l.Unit) > limit {
			return nil, fmt.Errorf("longer than %d bytes", limit)
		}
	}
	if len(l.Unit) == 0 {
		return nil, errors.New("empty")
	}
	return l, nil
}

// delimited cuts s after the second of the quotes that it begins with.
func delimited(s string) (inner, rest string, err error) {
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 {
		return "", "", fmt.Errorf("quote %c is not closed", s[0])
	}
	return s[1 : 1+end], s[2+end:], nil
}

func (l *Literal) quoted(s string) (string, error) {
	text, rest, err := delimited(s)
	l.Unit = append(l.Unit, text...)
	return rest, err
}

func (l *Literal) file(s string, read func(string, int) ([]byte, error),
	limit int,
) (string, error) {
	name, rest, err := delimited(s)
	if err != nil {
		return "", err
	}
	if read == nil {
		return "", errors.New("files are not allowed here")
	}
	room := limit - len(l.Unit)
	data, err := read(name, room)
	if err != nil {
		return "", err
	}
	l.Unit = append(l.Unit, data[:min(len(data), room)]...)
	return rest, nil
}

func (l *Literal) format(s string) (string, error) {
	if !strings.HasPrefix(s, "%o") {
		return "", errors.New("the only format is %o")
	}
	if len(l.Stamps) == maxStamps {
		return "", fmt.Errorf("more than %d times %%o", maxStamps)
	}
	l.Stamps = append(l.Stamps, len(l.Unit))
	l.Unit = append(l.Unit, make([]byte, stampLen)...)
	return s[2:], nil
}

func isHex(s string) bool {
	return len(s) >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')
}

func (l *Literal) hex(s string) (string, error) {
	end := digitsEnd(s, 2, 0, "0123456789abcdefABCDEF")
	digits := []byte(s[2:end])
	if len(digits) == 0 {
		return "", errors.New("no digits after 0x")
	}
	if len(digits)%2 != 0 {
		digits = slices.Insert(digits, 0, '0')
	}
	var err error
	l.Unit, err = hex.AppendDecode(l.Unit, digits)
	return s[end:], err
}

// digitsEnd is where the run of digits from start on ends. A 0 that an x follows is that of the
// next number, if least are left without it.
func digitsEnd(s string, start, least int, digits string) int {
	rest := strings.TrimLeft(s[start:], digits)
	end := len(s) - len(rest)
	if end > start+least && rest != "" && s[end-1] == '0' && rest[0]|0x20 == 'x' {
		end--
	}
	return end
}

func (l *Literal) decimal(s string) (string, error) {
	digits := strings.TrimLeft(s, " \t\n\v\f\r")
	start := 0
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		start = 1
	}
	end := digitsEnd(digits, start, 1, "0123456789")
	n, err := strconv.ParseInt(digits[:end], 10, 32)
	if err != nil {
		return "", fmt.Errorf(
			"%q is neither a number of 32 bits nor a text in quotes, which a shell takes as '\"text\"'",
			Brief(s))
	}
	l.Unit = append(l.Unit, byte(n))
	for v := uint32(n) >> 8; v > 0; v >>= 8 {
		l.Unit = append(l.Unit, byte(v))
	}
	return digits[end:], nil
}

// Start reads where a request whose data are the pattern belongs, if all of it says so.
func (l *Literal) Start(p []byte) (start int64, ok bool) {
	if len(l.Stamps) == 0 || l.Stamps[0]+stampLen > len(p) {
		return 0, false
	}
	v := binary.LittleEndian.Uint64(p[l.Stamps[0]:])
	if v > 1<<62 {
		return 0, false
	}
	want := make([]byte, len(p))
	l.Instance(want, int64(v))
	return int64(v), bytes.Equal(want, p)
}
