// Package report makes a page of HTML of what one command said: for whoever was not there when a
// disk was checked, or wants to keep what was measured.
//
// A page stands alone. It has the command, the image, the verdict, the figures of every event by
// the names and words that the events have themselves, pictures, and what the terminal showed. It
// needs no script, no other file and no network, follows the light or dark of its reader, and can
// be printed.
package report

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

// mark is how each page begins. A file that begins otherwise is none.
const mark = "<!doctype html>\n<!-- a report of blksh -->\n"

// mostText bounds what a page shows of the terminal, in bytes.
const mostText = 256 << 10

// Pages are the pages that a program makes; about says which program it is.
func Pages(about func() event.Version) session.Reports {
	return session.Reports{Mark: mark, Write: func(w io.Writer, a *session.Account) error {
		return write(w, a, about())
	}}
}

// write writes the page about what a command did.
func write(w io.Writer, a *session.Account, v event.Version) error {
	events := a.Events
	if a.Reason != nil && !a.Told {
		events = append(events[:len(events):len(events)], a.Reason)
	}
	var p page
	p.begin(title(a))
	p.raw("<header>\n")
	p.element("h1", "", title(a))
	said := verdictOf(a.Reason)
	p.element("p", "verdict "+said.style, said.words)
	p.raw("</header>\n")
	p.facts(a, v)
	events = p.pictures(events)
	p.terminal(print.Words(events), a.More)
	p.figures(events)
	p.raw("</main></body></html>\n")
	_, err := io.WriteString(w, p.String())
	return err
}

// title is the command and its image.
func title(a *session.Account) string {
	if !a.On || a.Image.Path == "" {
		return a.Words[0]
	}
	return a.Words[0] + " of " + a.Image.Path
}

// verdict is how a command ended, in a word and a style.
type verdict struct{ words, style string }

func verdictOf(reason event.Reason) verdict {
	if reason == nil {
		return verdict{"ended without an error", "good"}
	}
	switch reason.Class() {
	case event.ClassData:
		return verdict{"the data is not as expected", "bad"}
	case event.ClassInterrupted:
		return verdict{"stopped before its end", "stopped"}
	}
	return verdict{"failed", "bad"}
}

// page is HTML under way.
type page struct{ strings.Builder }

func (p *page) raw(s string) { p.WriteString(s) }

// element writes a text in an element, of a class if it is not "".
func (p *page) element(name, class, text string) {
	attribute := ""
	if class != "" {
		attribute = ` class="` + class + `"`
	}
	fmt.Fprintf(p, "<%s%s>%s</%s>\n", name, attribute, escape(text), name)
}

// escape makes a text fit for HTML: what others named may hold anything.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(event.WithoutPasswords(s), string(utf8.RuneError)))
	return html.EscapeString(s)
}

func (p *page) begin(title string) {
	p.raw(mark)
	p.raw("<html lang=\"en\"><head><meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
	p.element("title", "", title)
	p.raw("<style>\n" + style + "</style></head>\n<body><main>\n")
}

// facts tells what was done, to what, when, and by which program.
func (p *page) facts(a *session.Account, v event.Version) {
	p.raw("<section>\n<dl>\n")
	fact := func(name, text string) {
		fmt.Fprintf(p, "<dt>%s</dt><dd>%s</dd>\n", escape(name), escape(text))
	}
	fact("command", commandLine(a.Words))
	if a.On {
		image := a.Image
		image.Name = "" // which only the shell knew it by
		for _, f := range print.Figures(event.Opened{Image: image}) {
			fact(label(f), f.Text)
		}
		for _, l := range a.Image.Backing {
			fact("backing file", l.Filename+", "+l.Driver)
		}
	}
	fact("began", a.Began.Format(time.RFC1123Z))
	fact("took", units.Time(a.Took))
	fact("program", strings.TrimSpace(print.Words([]event.Event{v})))
	p.raw("</dl>\n</section>\n")
}

// commandLine is a line that the shell reads as the words.
func commandLine(words []string) string {
	line := make([]string, len(words))
	for i, w := range words {
		line[i] = session.Quoted(w)
	}
	return strings.Join(line, " ")
}

// terminal is what the command showed, as far as it is kept.
func (p *page) terminal(text string, more int) {
	p.raw("<section>\n")
	p.element("h2", "", "Output")
	if len(text) > mostText {
		text = text[:strings.LastIndexByte(text[:mostText], '\n')+1] + "...\n"
	}
	p.element("pre", "", text)
	if more > 0 {
		p.element("p", "note", fmt.Sprintf("%d more lines of output are not shown.", more))
	}
	p.raw("</section>\n")
}
