package manual

import (
	"slices"
	"testing"
)

func TestParagraphs(t *testing.T) {
	got := paragraphs(
		" Example:\n read 0 1  a byte\n\n Some words\n and more.\n\n a     one\n b     two\n")
	if len(got) != 3 || !got[0].asIs || got[1].asIs || !got[2].asIs {
		t.Fatalf("%+v", got)
	}
	if want := []string{"Some words", "and more."}; !slices.Equal(got[1].lines, want) {
		t.Errorf("%q, want %q", got[1].lines, want)
	}
}

// TestEscape wants nothing left that roff would take for a request, an escape or a hyphen.
func TestEscape(t *testing.T) {
	var p page
	p.plain(`.so /etc/passwd \fB -c 'x' "y"`)
	if got, want := p.String(), `\&.so /etc/passwd \efB \-c \(aqx\(aq "y"`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.Reset()
	p.macro("SS", `a "b"`)
	if got, want := p.String(), `.SS "a \(dqb\(dq"`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestQuotes(t *testing.T) {
	if got, want := zshQuote(`it's`), `'it'\''s'`; got != want {
		t.Errorf("zsh: %s, want %s", got, want)
	}
	if got, want := fishQuote(`it's \`), `'it\'s \\'`; got != want {
		t.Errorf("fish: %s, want %s", got, want)
	}
}
