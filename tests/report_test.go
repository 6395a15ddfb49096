package tests

import (
	"bytes"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// reports are commands that make a page, on a disk of 8 MiB with blocks of which one is damaged.
var reports = []struct {
	command, status, verdict string
	pictures                 int
}{
	{"bench -n 100 randread", "exit 0", "ended without an error", 1},
	{"verify_read", "exit 1", "the data is not as expected", 1},
	{"verify_write 1M 64k", "exit 0", "ended without an error", 0},
	{"verify_job job.fio", "exit 0", "ended without an error", 2},
	{"map", "exit 0", "ended without an error", 1},
	{"check", "exit 0", "ended without an error", 1},
	{"compare other.img", "exit 1", "the data is not as expected", 1},
	{"iszero", "exit 1", "the data is not as expected", 1},
}

// TestReports writes a page with each command that can, and looks at it in a browser.
func TestReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := func(args ...string) answer {
		t.Helper()
		a, err := asBlksh.run(run{dir: dir, args: append(args, "disk.qcow2")})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, err := asBlksh.run(run{
		dir:  dir,
		args: []string{"-c", "create other.img 8M", "-c", "create disk.qcow2 8M"},
	})
	if err != nil || a.status != "exit 0" {
		t.Fatalf("%v, %+v", err, a)
	}
	job := "[j]\nrw=randwrite\nsize=1m\nbs=4k\nverify=crc32c\n"
	if err := os.WriteFile(filepath.Join(dir, "job.fio"), []byte(job), 0o600); err != nil {
		t.Fatal(err)
	}
	disk("-c", "verify_write", "-c", "write -q 64k 4k").wants(t, "prepare", "exit 0", "", "")
	for i, r := range reports {
		page := "page" + string(rune('a'+i)) + ".html"
		disk("-c", r.command+" --report "+page).wants(t, r.command, r.status, "report: "+page, "")
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), r.verdict) ||
			strings.Count(string(text), "<svg") != r.pictures {
			t.Errorf("%s: %v, %s", r.command, err, text)
		}
		if blockdevtest.Sampled(i, 4) {
			t.Run(r.command, func(t *testing.T) { browse(t, filepath.Join(dir, page)) })
		}
	}
}

// browse opens a page in a browser, light and dark: it has no complaint, and what it shows is not
// one colour, and not the same in both.
func browse(t *testing.T, page string) {
	browser := blockdevtest.Peer(t, "chromium-headless-shell", "chromium-headless-shell")
	var corners []color.Color
	for _, scheme := range []string{"1", "0"} {
		shot := filepath.Join(t.TempDir(), "shot.png")
		screenshot(t, browser, page, shot, scheme, "1000,1200")
		file, err := os.Open(shot)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		picture, err := png.Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		colours := map[color.Color]bool{}
		for y := range picture.Bounds().Dy() {
			for x := range picture.Bounds().Dx() {
				colours[picture.At(x, y)] = true
			}
		}
		if len(colours) < 8 {
			t.Errorf("it shows %d colours", len(colours))
		}
		corners = append(corners, picture.At(2, 2))
	}
	if corners[0] == corners[1] {
		t.Errorf("light and dark are both %v", corners[0])
	}
}

// screenshot takes a picture of a page, in a window of width,height and in a colour scheme: "1" is
// light, "0" dark. The browser is to have no complaint.
func screenshot(t *testing.T, browser, page, shot, scheme, size string) {
	t.Helper()
	cmd := exec.Command(browser, "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
		"--hide-scrollbars", "--window-size="+size, "--user-data-dir="+t.TempDir(),
		"--blink-settings=preferredColorScheme="+scheme, "--screenshot="+shot, "file://"+page)
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("CONSOLE")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestReportOver: a page takes the place of a page, and of nothing else; without room for it the
// command fails, also one that found nothing wrong.
func TestReportOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "page.html")
	on(t, "mem:1M", "map", "--report", page).wants(t, "new", "exit 0", "report: "+page, "")
	on(t, "mem:1M", "map", "--report", page).wants(t, "again", "exit 0", "report: "+page, "")
	on(t, "mem:1M", "map", "--report", other).wants(t, "over notes", "exit 2", "",
		"is there already and is no report")
	if text, err := os.ReadFile(other); err != nil || string(text) != "notes" {
		t.Errorf("%v, %q", err, text)
	}
	on(t, "mem:1M", "map", "--report", filepath.Join(dir, "none", "page.html")).
		wants(t, "no folder", "exit 2", "", "No such file or directory")
	full := on(t, "mem:1M", "map", "--report", "/dev/full")
	if full.status == "exit 0" {
		t.Errorf("/dev/full: %+v", full)
	}
}
