package tests

import (
	"go/scanner"
	"go/token"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	// widest is how wide a line of Go may be, in columns, where a tab takes four.
	widest = 100
	// longText is from how many columns on a string makes a line as wide as it is: a message is
	// found only while it stands in one piece.
	longText = 40
)

// TestWidth wants all lines of Go to be so narrow that two files fit side by side. Three things may
// be wider: a line with a long string; a row of a table, which is a whole element of a literal and
// ends in a brace; and in comments what is indented, such as a picture.
func TestWidth(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(file string) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var texts map[int]bool // the lines with long strings
		for i, line := range strings.Split(string(source), "\n") {
			columns := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
			if columns <= widest || isRow(line) {
				continue
			}
			if texts == nil {
				texts = longTexts(source)
			}
			if !texts[i+1] {
				t.Errorf("%s:%d: %d columns", file, i+1, columns)
			}
		}
	})
}

// isRow says whether a line is a row of a table, or of a picture in a comment.
func isRow(line string) bool {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "//\t") {
		return true
	}
	element, _, _ := strings.Cut(line, " // ")
	whole := strings.Count(element, "{") == strings.Count(element, "}") &&
		strings.Count(element, "(") == strings.Count(element, ")")
	return whole && strings.HasSuffix(strings.TrimSpace(element), "},")
}

// longTexts are the lines on which there is a long string, or a part of one.
func longTexts(source []byte) map[int]bool {
	lines := map[int]bool{}
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	for {
		pos, kind, text := s.Scan()
		switch {
		case kind == token.EOF:
			return lines
		case kind == token.STRING && utf8.RuneCountInString(text) >= longText:
			first := file.Line(pos)
			for i := range 1 + strings.Count(text, "\n") {
				lines[first+i] = true
			}
		}
	}
}
