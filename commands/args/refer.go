package args

import (
	"fmt"
	"strings"
)

// Reference is what stands for a value that a script knows: $NAME, ${NAME} or $((SUM)).
type Reference struct {
	Text string // the name, or the sum
	Sum  bool
}

// Resolve is the text of a reference.
type Resolve func(r Reference) (string, error)

// sumBegins is what a sum stands behind.
const sumBegins = "$(("

// longestValue bounds a word with its references resolved, in bytes.
const longestValue = 1 << 20

// Value is what the word stands for: quotes taken away and, where resolve is not nil, references
// resolved. In quotes and in json: names a $ is a $. What a reference stands for is not looked at
// again: it is one word, or a part of it, whatever is in it.
func (w Word) Value(resolve Resolve) (string, error) {
	switch {
	case w.form == quotedForm:
		return unquote(w.Raw)
	case w.form == jsonForm || resolve == nil || !strings.Contains(w.Raw, "$"):
		return w.Raw, nil
	}
	var value strings.Builder
	var quote byte
	for at := 0; at < len(w.Raw); {
		c := w.Raw[at]
		reference, n := referenceAt(w.Raw[at:])
		if quote != 0 || n == 0 {
			quote = w.quoteBehind(c, quote)
			value.WriteByte(c)
			at++
			continue
		}
		text, err := resolve(reference)
		if err != nil {
			return "", err
		}
		if value.WriteString(text); value.Len() > longestValue {
			return "", fmt.Errorf("%s becomes longer than 1 MiB", w.Raw)
		}
		at += n
	}
	return value.String(), nil
}

// quoteBehind is the quote that is open behind a byte of the word, 0 for none.
func (w Word) quoteBehind(c, quote byte) byte {
	switch {
	case w.form != patternForm:
		return 0
	case quote == c:
		return 0
	case quote == 0 && (c == '"' || c == '\''):
		return c
	}
	return quote
}

// referenceAt reads the reference that text begins with; n is its length in bytes, 0 if there is
// none.
func referenceAt(text string) (r Reference, n int) {
	if n = lengthOfSum(text); n > 0 {
		return Reference{text[len(sumBegins) : n-len("))")], true}, n
	}
	if !strings.HasPrefix(text, "$") {
		return Reference{}, 0
	}
	if inner, ok := strings.CutPrefix(text, "${"); ok {
		name, _, closed := strings.Cut(inner, "}")
		if !closed || !IsName(name) {
			return Reference{}, 0
		}
		return Reference{name, false}, len("${}") + len(name)
	}
	n = 1
	for n < len(text) && isNameByte(text[n], n > 1) {
		n++
	}
	if n == 1 {
		return Reference{}, 0
	}
	return Reference{text[1:n], false}, n
}

// lengthOfSum is the length of the $((...)) that text begins with, 0 if it does not, -1 if that
// does not end.
func lengthOfSum(text string) int {
	if !strings.HasPrefix(text, sumBegins) {
		return 0
	}
	depth := 0
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

func unclosedSum(at int) error {
	return &SplitError{Column: at + 1, Why: "$(( has no closing ))"}
}

// IsName says whether a variable may have that name: letters, digits and '_', no digit first.
func IsName(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i], i > 0) {
			return false
		}
	}
	return name != ""
}

func isNameByte(c byte, digits bool) bool {
	l := lower(c)
	return 'a' <= l && l <= 'z' || c == '_' || digits && isDigit(c)
}
