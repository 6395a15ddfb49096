package tests

import (
	"fmt"
	"html"
	"strings"
	"testing"
	"unicode/utf8"
)

// pictureFile is README's picture.
const pictureFile = pagesFolder + "mismatch.svg"

// pictured is what the picture shows: a pattern, four kilobytes of another generation in it, and
// the read that finds them. Nothing that it prints depends on the machine.
var pictured = []string{
	"blksh -c 'create disk.qcow2 64M'",
	"blksh disk.qcow2 write -q -P stamp:1 0 1M",
	"blksh disk.qcow2 write -q -P stamp:2 64k 4k",
	`blksh disk.qcow2 read -q -P stamp:1 0 1M; echo "status $?"`,
}

// TestPicture runs what README's picture shows and holds the picture against it.
func TestPicture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var lines []string
	for _, command := range pictured {
		out, err := inShell(dir, command)
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		lines = append(lines, "$ "+command)
		for line := range strings.Lines(out) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	fresh(t, pictureFile, drawTerminal(lines))
}

// Measures of a drawn terminal, in pixels: a cell, the edge around the text, and the size of type.
const (
	cellWidth, cellHeight = 8.4, 19
	edge                  = 16
	typeSize              = 14
)

// drawTerminal draws lines as a terminal shows them, in colours that can be read on any page.
func drawTerminal(lines []string) []byte {
	var b strings.Builder
	widest := 0
	for _, line := range lines {
		widest = max(widest, utf8.RuneCountInString(line))
	}
	width, height := float64(widest)*cellWidth+2*edge, len(lines)*cellHeight+2*edge
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %d\" "+
		"font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" "+
		"font-size=\"%d\" role=\"img\">\n", width, height, typeSize)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(lines[len(lines)-2]))
	fmt.Fprintf(&b, "<rect width=\"%.0f\" height=\"%d\" rx=\"8\" fill=\"#1b1f24\"/>\n", width,
		height)
	for i, line := range lines {
		// textLength keeps the columns in line whatever font there is.
		fmt.Fprintf(&b,
			"<text x=\"%d\" y=\"%d\" textLength=\"%.1f\" xml:space=\"preserve\" fill=\"%s\">%s</text>\n",
			edge, edge+i*cellHeight+typeSize, float64(utf8.RuneCountInString(line))*cellWidth,
			lineColour(line), html.EscapeString(line))
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// lineColour tells commands, what was expected and what was found apart.
func lineColour(line string) string {
	switch {
	case strings.HasPrefix(line, "$ "):
		return "#79c0ff"
	case strings.HasPrefix(line, "  expected "):
		return "#7ee787"
	case strings.HasPrefix(line, "  found "):
		return "#ffa198"
	}
	return "#e6edf3"
}
