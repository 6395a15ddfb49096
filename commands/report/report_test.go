package report

import (
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

func pageOf(t *testing.T, a session.Account) string {
	t.Helper()
	var b strings.Builder
	pages := Pages(func() event.Version { return event.Version{Version: "1.2.3"} })
	if err := pages.Write(&b, &a); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if !strings.HasPrefix(page, pages.Mark) {
		t.Errorf("it begins with %.60q", page)
	}
	return page
}

// TestVerdict follows from why a command failed.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		reason event.Reason
		want   string
	}{
		{nil, `<p class="verdict good">ended without an error</p>`},
		{event.NotFound{}, `<p class="verdict bad">the data is not as expected</p>`},
		{event.Interrupted{}, `<p class="verdict stopped">stopped before its end</p>`},
		{event.UnknownCommand{Name: "x"}, `<p class="verdict bad">failed</p>`},
	} {
		page := pageOf(t, session.Account{Words: []string{"find"}, Reason: c.reason})
		if !strings.Contains(page, c.want) {
			t.Errorf("%v: no %s", c.reason, c.want)
		}
	}
}

// TestFacts: what was done, and to what, stands on the page as it was, whatever it is called.
func TestFacts(t *testing.T) {
	page := pageOf(t, session.Account{
		Words: []string{"check", "a b", "it's", "<i>"}, On: true,
		Image: event.Image{Path: "<script>alert(1)</script>\x00\xff&\"'.img", Format: "raw"},
		Took:  1500 * time.Millisecond,
	})
	for _, want := range []string{
		"check &#39;a b&#39; &#39;it&#39;\\&#39;&#39;s&#39; &lt;i&gt;", "<dd>1.5s</dd>", "blksh 1.2.3",
		"&lt;script&gt;alert(1)&lt;/script&gt;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	for _, not := range []string{"<script", "<i>", "\x00", "\xff", "src=", "http"} {
		if strings.Contains(page, not) {
			t.Errorf("%q in\n%s", not, page)
		}
	}
}

// TestBounds: a command that lists much makes no page without end.
func TestBounds(t *testing.T) {
	a := session.Account{Words: []string{"find"}, More: 7}
	for i := range 100_000 {
		a.Events = append(a.Events, event.Found{Off: int64(i)})
	}
	page := pageOf(t, a)
	if len(page) > mostText+256<<10 {
		t.Errorf("%d bytes", len(page))
	}
	for _, want := range []string{"99800 more are not shown.", "7 more lines of output"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestFigures: one event of a kind is a line for each figure, several are a row each with a column
// for all that any of them has.
func TestFigures(t *testing.T) {
	page := pageOf(t, session.Account{Words: []string{"sum"}, Events: []event.Event{
		event.Sum{Range: event.Range{Len: 4096}, Algorithm: "md5", Sum: verify.HexBytes{0xab}},
		event.Searched{Matches: 1},
		event.Searched{Matches: 2, More: true},
	}})
	for _, want := range []string{
		`<tr><th scope="row">length</th><td>4 KiB (4096 bytes)</td><td class="doc">of the range</td></tr>`,
		`<tr><th scope="row">sum</th><td>ab</td>`,
		"<td>0 bytes</td><td>0 bytes</td><td>1</td><td></td></tr>",
		"<td>0 bytes</td><td>0 bytes</td><td>2</td><td>true</td></tr>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
}
