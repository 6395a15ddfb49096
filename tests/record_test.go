package tests

import (
	"flag"
	"strings"
	"testing"
)

var recordFlag = flag.Bool("record", false,
	"write the reference's answers into the golden scripts that its version recorded")

// TestRecord records every script whose version is the reference's. Each case
// runs three times; one whose answers differ is refused.
func TestRecord(t *testing.T) {
	if !*recordFlag {
		t.Skip("only with -record")
	}
	p := reference(t)
	f, err := newFilter(p)
	if err != nil {
		t.Fatal(err)
	}
	version := versionOf(t, p)
	recorded := 0
	for _, dialect := range dialects {
		for _, s := range readScripts(t, dialect) {
			if s.recorded != version {
				continue
			}
			recorded++
			t.Run(s.path, func(t *testing.T) { record(t, p, f, dialect, s) })
		}
	}
	if recorded == 0 {
		t.Errorf("no script was recorded from qemu-io %s", version)
	}
}

func record(t *testing.T, p program, f filter, dialect string, s *script) {
	const runs = 3
	for _, c := range s.cases {
		var first answer
		for i := range runs {
			got, err := p.answer(t, c)
			if err != nil {
				t.Fatalf("%s: %v", c.id, err)
			}
			got = f.apply(c, got)
			if i == 0 {
				first = got
				continue
			}
			// What an exception settles, as a free order does, may differ.
			if diff := first.diff(got); diff != "" && settledDiff(dialect, c.id, first, got) != "" {
				t.Fatalf("%s: two runs differ\n%s", c.id, diff)
			}
		}
		s.setAnswer(c, first)
	}
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
}

// versionOf asks a qemu-io for its version: "7.2.22" of
// "qemu-io version 7.2.22 (Debian ...)".
func versionOf(t *testing.T, p program) string {
	t.Helper()
	a, err := p.run(run{args: []string{"--version"}})
	words := strings.Fields(a.stdout)
	if err != nil || len(words) < 3 {
		t.Fatalf("%s --version says %q, %v", p.path, a.stdout, err)
	}
	return words[2]
}
