package script

import (
	"math"
	"math/bits"
	"strings"

	"github.com/blksh/blksh/commands/args"
)

// deepestSum is how many parentheses may stand inside each other.
const deepestSum = 64

// sum is a text that is being computed. All arithmetic is that of 64 bits with a sign, and refuses
// what does not fit.
type sum struct {
	rest  string
	m     *Machine
	depth int
}

// evaluate computes a sum: numbers as commands have them, variables with or without a '$', rand(N)
// and rand(FROM, TO), and + - * / % with parentheses.
func (m *Machine) evaluate(text string) (int64, error) {
	s := &sum{rest: text, m: m}
	n, err := s.terms()
	if err == nil && s.peek() != 0 {
		err = wrong("'%s' is not understood in the sum %s", strings.TrimSpace(s.rest),
			strings.TrimSpace(text))
	}
	return n, err
}

// peek is the next byte that is no blank, 0 at the end.
func (s *sum) peek() byte {
	if s.rest = strings.TrimLeft(s.rest, " \t\r\n"); s.rest == "" {
		return 0
	}
	return s.rest[0]
}

// sign takes the next byte if it is one of some.
func (s *sum) sign(some string) byte {
	c := s.peek()
	if c == 0 || strings.IndexByte(some, c) < 0 {
		return 0
	}
	s.rest = s.rest[1:]
	return c
}

func (s *sum) terms() (int64, error) { return s.chain(s.factors, "+-") }

func (s *sum) factors() (int64, error) { return s.chain(s.value, "*/%") }

// chain computes operands with some signs between them, from the left.
func (s *sum) chain(operand func() (int64, error), signs string) (int64, error) {
	n, err := operand()
	for err == nil {
		sign := s.sign(signs)
		if sign == 0 {
			return n, nil
		}
		var by int64
		if by, err = operand(); err == nil {
			n, err = compute(n, sign, by)
		}
	}
	return 0, err
}

// deeper is read one level further inside.
func (s *sum) deeper(read func() (int64, error)) (int64, error) {
	if s.depth++; s.depth > deepestSum {
		return 0, wrong("a sum is nested too deep")
	}
	defer func() { s.depth-- }()
	return read()
}

// compute is a with b, or an error where the result is no number of 64 bits.
func compute(a int64, sign byte, b int64) (int64, error) {
	n, fits := int64(0), true
	switch sign {
	case '+':
		n = a + b
		fits = (n > a) == (b > 0)
	case '-':
		n = a - b
		fits = (n < a) == (b > 0)
	case '*':
		n, fits = multiply(a, b)
	default:
		if b == 0 {
			return 0, wrong("%d %c 0: nothing can be divided by 0", a, sign)
		}
		fits = a != math.MinInt64 || b != -1
		if n = a / b; sign == '%' {
			n = a % b
		}
	}
	if !fits {
		return 0, wrong("%d %c %d is beyond 64 bits", a, sign, b)
	}
	return n, nil
}

func multiply(a, b int64) (n int64, fits bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	n = int64(low)
	if (a < 0) != (b < 0) {
		n = -n
	}
	return n, high == 0 && low <= math.MaxInt64
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func (s *sum) value() (int64, error) {
	switch {
	case s.sign("-") != 0:
		n, err := s.deeper(s.value)
		if err != nil {
			return 0, err
		}
		return compute(0, '-', n)
	case s.sign("(") != 0:
		n, err := s.deeper(s.terms)
		if err == nil && s.sign(")") == 0 {
			err = s.unclosed()
		}
		return n, err
	}
	s.sign("$")
	length := strings.IndexFunc(s.rest, func(r rune) bool {
		return !strings.ContainsRune("_.", r) && (r < '0' || r > '9') &&
			(r|0x20 < 'a' || r|0x20 > 'z')
	})
	if length < 0 {
		length = len(s.rest)
	}
	word := s.rest[:length]
	s.rest = s.rest[length:]
	switch {
	case word == "":
		return 0, wrong("a number or a variable is missing %s", s.where())
	case word == "rand" && s.sign("(") != 0:
		return s.random()
	case word != "end" && args.IsName(word):
		return s.m.number(word)
	}
	return s.m.host.Number(word)
}

func (s *sum) unclosed() error { return wrong("a ) is missing %s", s.where()) }

// where says where the sum is being read.
func (s *sum) where() string {
	if s.peek() == 0 {
		return "at the end of the sum"
	}
	return "before '" + s.rest + "' in the sum"
}

// random is rand(N), a number from 0 to N-1, or rand(FROM, TO), one from FROM to TO-1. The first
// parenthesis was read.
func (s *sum) random() (int64, error) {
	var from int64
	to, err := s.deeper(func() (to int64, err error) {
		if to, err = s.terms(); err == nil && s.sign(",") != 0 {
			from = to
			to, err = s.terms()
		}
		return to, err
	})
	switch {
	case err != nil:
		return 0, err
	case s.sign(")") == 0:
		return 0, s.unclosed()
	case to <= from:
		return 0, wrong("rand(%d, %d): no number lies there", from, to)
	}
	span := uint64(to) - uint64(from)
	high, _ := bits.Mul64(s.m.random().Uint64(), span)
	return int64(uint64(from) + high), nil
}
