package picture

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/commands/colour"
)

var twoClasses = []Class{
	{Name: "data", Sign: '█', Part: '▒', Plain: '#', PlainPart: '+', Role: colour.Data},
	{Name: "hole", Sign: '·', Plain: '.', Role: colour.Faint},
}

const (
	data = iota
	hole
)

func TestText(t *testing.T) {
	p := New(0, 4<<20, twoClasses)
	p.Add(1<<20, 1<<20, data)
	p.Add(3<<20, 1, data)
	p.Fill(hole)
	want := fmt.Sprintf("%12s  %s\n%12s  %s\n", "0", strings.Repeat(".", 64), "256k",
		strings.Repeat(".", 64))
	got := string(p.Text(Screen{Width: 80}))
	if !strings.HasPrefix(got, want) || strings.Count(got, "#") != 4*64+1 ||
		strings.Count(got, "+") != 2 {
		t.Errorf("rows\n%s", got)
	}
	if legend := got[strings.Index(got, "a cell"):]; legend != `a cell is 4 KiB
  #  data: 1 MiB, 25.00%; + in part
  .  hole: 3 MiB, 75.00%
` {
		t.Errorf("legend\n%s", legend)
	}
	if got := string(p.Text(Screen{Width: 80, UTF8: true})); !strings.Contains(got, "█") ||
		strings.Count(got, "▒") != 2 {
		t.Errorf("with UTF-8\n%s", got)
	}
	painted := string(p.Text(Screen{Width: 80, Palette: true}))
	if plain := strings.NewReplacer("\x1b[32m", "", "\x1b[2m", "", "\x1b[m",
		"").Replace(painted); plain != got {
		t.Errorf("painted, and the paint taken off\n%s", plain)
	}
}

// TestFits: whatever the range and the width, there are few lines and none is too long.
func TestFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "length")
		off := rapid.Int64Range(0, math.MaxInt64-n).Draw(t, "offset")
		width := rapid.IntRange(1, 300).Draw(t, "width")
		p := New(off, n, twoClasses)
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			at := rapid.Int64Range(0, math.MaxInt64).Draw(t, "at")
			p.Add(at, rapid.Int64Range(0, math.MaxInt64-at).Draw(t, "bytes"), data)
		}
		p.Fill(hole)
		if p.Total(data)+p.Total(hole) != n || p.Cells() > mostCells {
			t.Fatalf("%d and %d of %d in %d cells", p.Total(data), p.Total(hole), n, p.Cells())
		}
		lines := strings.Split(strings.TrimSuffix(string(p.Text(Screen{Width: width})), "\n"), "\n")
		if len(lines) > mostRows+3 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if count := utf8.RuneCountInString(line); count > max(width, 60) {
				t.Fatalf("%d in a line of %d: %s", count, width, line)
			}
		}
		at := off
		for _, run := range p.Runs() {
			if run.Off != at || total(run.Bytes) != run.Len {
				t.Fatalf("a run at %d of %d with %v, and not at %d", run.Off, run.Len, run.Bytes, at)
			}
			at += run.Len
		}
		if at != off+n {
			t.Fatalf("runs end at %d and not at %d", at, off+n)
		}
	})
}

// TestSVG: it can be read as XML whatever the title is, and it draws the cells that the text shows.
func TestSVG(t *testing.T) {
	p := New(0, 4<<20, twoClasses)
	p.Add(1<<20, 1<<20, data)
	p.Add(3<<20, 1, data)
	p.Fill(hole)
	for _, title := range []string{"map of disk.img", "<a> & \"b\" \x00\xff]]>"} {
		svg := string(p.SVG(title))
		shapes := wellFormed(t, svg)
		if shapes["rect"] < 3 || shapes["svg"] != 1 || shapes["script"] > 0 {
			t.Errorf("%v", shapes)
		}
		for _, want := range []string{
			"prefers-color-scheme:dark", "1048576..1179648: data", "3145728..3147776: data in part",
			"data: 1 MiB, 25.00%", "a cell is 2 KiB",
		} {
			if !strings.Contains(svg, want) {
				t.Errorf("no %q in\n%s", want, svg)
			}
		}
	}
	wellFormed(t, string(New(0, 0, twoClasses).SVG("nothing")))
}

// wellFormed reads XML and counts its elements.
func wellFormed(t *testing.T, text string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
}

// TestManyRuns: what a picture takes does not depend on how many runs it is made of.
func TestManyRuns(t *testing.T) {
	p := New(0, 1<<40, twoClasses)
	at := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		p.Add(at, 4096, data)
		at += 1 << 20
	}); n > 0 {
		t.Errorf("%v allocations a run", n)
	}
}
