package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// shownPage shows what commands draw and print, by runs of them.
const shownPage = pagesFolder + "screen.md"

// shown are the runs of shownPage, by the marks between which they stand, in this order and in one
// folder: each begins with what is not shown, and ends with what is.
var shown = []struct {
	name   string
	before []string
	run    string
	status string
}{
	{"map", []string{
		"-c 'create disk.qcow2 64M'", "disk.qcow2 -c 'write -q 1M 9M' -c 'write -q -c 40M 64k' -c 'write -q -z 48M 4M'",
	}, "-r disk.qcow2 map --draw", "exit 0"},
	{"show", nil, "-r disk.qcow2 show", "exit 0"},
	{"bench", nil, "mem:64M bench -n 20000 randread", "exit 0"},
	{"verify_job", nil, "verify_job job.fio", "exit 0"},
	{"damage", []string{
		"-c 'create bad.qcow2 8M'", "-t writeback bad.qcow2 verify_write",
		"bad.qcow2 -c 'read -q -o block 1M 4k' -c 'write -q -s block 3M' -c 'write -q -z 5M 64k'",
	}, "-r bad.qcow2 verify_read --draw --report report.html", "exit 1"},
}

// shownJob is the job file that shownPage speaks of.
const shownJob = "[load]\nfilename=job.img\nrw=randwrite\nbs=4k\nsize=4m\nverify=crc32c\n"

// figures are what each run gives anew: times, rates, what is computed of them, and how much of the
// histogram there is. Blanks count for nothing then.
var figures = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?m)^  up to .*\n`), ""},
	{regexp.MustCompile(`<rect class="bar".*\n?`), ""},
	{regexp.MustCompile(`(<dt>(?:began|took|program)</dt><dd>)[^<]*`), "$1"},
	{regexp.MustCompile(`[0-9.,]+ ?[kM]? ?(?:IOPS|[KMG]?i?B/s|ns|us|µs|ms|s)\b`), "N"},
	{regexp.MustCompile(`\b[0-9.]+[kM]?\b(\s+N\b)`), "N$1"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func withoutFigures(text string) string {
	for _, f := range figures {
		text = f.what.ReplaceAllString(text, f.with)
	}
	return text
}

// TestShown makes the runs that a page shows and holds the page against them, figures that each run
// gives anew aside. With -update it writes those that are stale, and takes the picture of the page
// of HTML.
func TestShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "job.fio"), []byte(shownJob), 0o666); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(shownPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if !strings.Contains(page, shownJob) {
		t.Errorf("%s does not show the job:\n%s", shownPage, shownJob)
	}
	for _, s := range shown {
		for _, line := range s.before {
			if said, err := inShell(dir, "blksh "+line); err != nil {
				t.Fatalf("%s: %v, %s", line, err, said)
			}
		}
		words, err := splitWords(s.run)
		if err != nil {
			t.Fatal(err)
		}
		a, err := asBlksh.run(run{dir: dir, args: words, merged: true, env: []string{
			"LC_ALL=C.UTF-8", "COLUMNS=80",
		}})
		if err != nil || a.status != s.status {
			t.Fatalf("%s: %v, %s, %s", s.run, err, a.status, a.stdout)
		}
		inside := "\n```console\n$ blksh " + s.run + "\n" + a.stdout + "```\n\n"
		is, err := insideOf(page, s.name)
		if err != nil {
			t.Fatal(err)
		}
		if withoutFigures(is) == withoutFigures(inside) {
			continue
		}
		if page, err = between(page, s.name, inside); err != nil {
			t.Fatal(err)
		}
	}
	fresh(t, shownPage, []byte(page))
	shownReport(t, filepath.Join(dir, "report.html"))
}

// shownReport holds the page of HTML that the pages show against one that was just made.
func shownReport(t *testing.T, made string) {
	t.Helper()
	const kept, picture = pagesFolder + "report.html", pagesFolder + "report.png"
	now, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	is, _ := os.ReadFile(kept) // the first time there is none
	if withoutFigures(string(is)) == withoutFigures(string(now)) {
		return
	}
	fresh(t, kept, now)
	if *updateFlag {
		browser := blockdevtest.Peer(t, "chromium-headless-shell", "chromium-headless-shell")
		screenshot(t, browser, made, picture, "1", "1000,1200")
	}
}
