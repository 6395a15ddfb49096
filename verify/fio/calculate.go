package fio

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/blksh/blksh/verify"
)

// calculate is the value of an expression of whole numbers, + - * / and parentheses.
func calculate(text string) (int64, error) {
	c := &calculation{rest: strings.ReplaceAll(strings.TrimSpace(text), " ", "")}
	n, err := c.sum(0)
	if err == nil && c.rest != "" {
		err = fmt.Errorf("%q is no arithmetic", verify.Brief(c.rest))
	}
	return n, err
}

// A calculation is what is left of an expression.
type calculation struct{ rest string }

// maxParentheses bounds how deep an expression is.
const maxParentheses = 64

// take takes one of the operators, 0 if none follows.
func (c *calculation) take(operators string) (op byte) {
	if c.rest == "" || strings.IndexByte(operators, c.rest[0]) < 0 {
		return 0
	}
	op, c.rest = c.rest[0], c.rest[1:]
	return op
}

func (c *calculation) sum(depth int) (int64, error) { return c.chain("+-", c.product, depth) }

func (c *calculation) product(depth int) (int64, error) { return c.chain("*/", c.factor, depth) }

// chain takes operands with operators between them, from the left to the right.
func (c *calculation) chain(operators string, operand func(depth int) (int64, error),
	depth int,
) (int64, error) {
	n, err := operand(depth)
	for err == nil {
		op := c.take(operators)
		if op == 0 {
			break
		}
		var m int64
		if m, err = operand(depth); err == nil {
			n, err = apply(op, n, m)
		}
	}
	return n, err
}

func (c *calculation) factor(depth int) (int64, error) {
	if depth > maxParentheses {
		return 0, errors.New("too many parentheses")
	}
	switch c.take("-(") {
	case '-':
		n, err := c.factor(depth + 1)
		return -n, err
	case '(':
		n, err := c.sum(depth + 1)
		if err == nil && c.take(")") == 0 {
			err = errors.New("a parenthesis is not closed")
		}
		return n, err
	}
	end := strings.IndexFunc(c.rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(c.rest)
	}
	n, err := strconv.ParseInt(c.rest[:end], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no arithmetic", verify.Brief(c.rest))
	}
	c.rest = c.rest[end:]
	return n, nil
}

// maxOperand keeps sums and differences in range.
const maxOperand = math.MaxInt64 / 2

func apply(op byte, a, b int64) (int64, error) {
	abs := func(n int64) int64 { return max(n, -n) }
	switch {
	case abs(a) > maxOperand || abs(b) > maxOperand || op == '*' && a != 0 &&
		abs(b) > maxOperand/abs(a):
		return 0, errors.New("too large")
	case op == '/' && b == 0:
		return 0, errors.New("division by zero")
	}
	switch op {
	case '+':
		return a + b, nil
	case '-':
		return a - b, nil
	case '*':
		return a * b, nil
	}
	return a / b, nil
}
