package tests

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// optionWays are the ways in which an option reaches a node. set says OPTION=VALUE there, for the
// stack that the driver names.
var optionWays = []struct {
	name string
	args func(s optionStack, key, value string) []string
}{
	{"json top", func(s optionStack, key, value string) []string { return []string{s.json("", key, value)} }},
	{"json child", func(s optionStack, key, value string) []string { return []string{s.json("file.", key, value)} }},
	{"read-only json top", func(s optionStack, key, value string) []string { return []string{"-r", s.json("", key, value)} }},
	{"read-only json child", func(s optionStack, key, value string) []string { return []string{"-r", s.json("file.", key, value)} }},
	{"overlay json top", func(s optionStack, key, value string) []string { return []string{"-s", s.json("", key, value)} }},
	{"image-opts", func(s optionStack, key, value string) []string {
		return []string{"--image-opts", s.words("") + "," + key + "=" + value}
	}},
	{"image-opts child", func(s optionStack, key, value string) []string {
		return []string{"--image-opts", s.words("") + ",file." + key + "=" + value}
	}},
	{"open -o", func(s optionStack, key, value string) []string {
		return []string{"-c", "open -o " + s.words("") + "," + key + "=" + value}
	}},
	{"open -r -o", func(s optionStack, key, value string) []string {
		return []string{"-c", "open -r -o " + s.words("") + "," + key + "=" + value}
	}},
	{"open NAME -o", func(s optionStack, key, value string) []string {
		return []string{"-c", "open -o driver=" + s.driver + "," + key + "=" + value + " " + s.file}
	}},
	{"reopen -o", func(s optionStack, key, value string) []string {
		return []string{"-c", "open -o " + s.words(""), "-c", "reopen -o " + key + "=" + value}
	}},
	{"reopen -o child", func(s optionStack, key, value string) []string {
		return []string{"-c", "open -o " + s.words(""), "-c", "reopen -o file." + key + "=" + value}
	}},
	{"backing", func(s optionStack, key, value string) []string {
		return []string{"--image-opts", "driver=qcow2,file.filename=over.qcow2," +
			s.words("backing.") + ",backing." + key + "=" + value}
	}},
}

// optionStack is a format over a file.
type optionStack struct{ driver, file string }

func (s optionStack) words(prefix string) string {
	return fmt.Sprintf("%[1]sdriver=%[2]s,%[1]sfile.driver=file,%[1]sfile.filename=%[3]s", prefix,
		s.driver, s.file)
}

func (s optionStack) json(prefix, key, value string) string {
	if !strings.Contains(value, `"`) && value != "null" && value != "true" && value != "false" &&
		!isNumber(value) {
		value = `"` + value + `"`
	}
	return fmt.Sprintf(`json:{"driver":"%s","%s%s":%s,"file.driver":"file","file.filename":"%s"}`,
		s.driver, prefix, key, value, s.file)
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789.-") == "" && s != "" }

// nodeOptions are the options of every node, with values that are right and wrong; those that are
// none as well.
var nodeOptions = map[string][]string{
	"read-only":             {"on", "off", "true", "no", "maybe", "1", "null"},
	"auto-read-only":        {"on", "off", "x"},
	"cache.direct":          {"on", "off", "x"},
	"cache.no-flush":        {"on", "off", "x"},
	"cache.writeback":       {"on"},
	"discard":               {"unmap", "ignore", "on", "off", "x", "true"},
	"detect-zeroes":         {"on", "off", "unmap", "x", "true"},
	"force-share":           {"on", "off", "x"},
	"node-name":             {"n", "1", "#block1", "very-long-name-of-more-than-31-bytes"},
	"backing":               {"x", "null", ""},
	"file":                  {"x"},
	"copy-on-read":          {"on"},
	"locking":               {"on", "off", "auto", "x"},
	"aio":                   {"threads", "native", "io_uring", "x"},
	"drop-cache":            {"on", "x"},
	"size":                  {"512", "65536.0", "65536.5", "64k", "-1", "18446744073709551615", "18446744073709551616", "x", "true"},
	"offset":                {"512", "1048576.0", "18446744073709551615", "x"},
	"id":                    {"x"},
	"lazy-refcounts":        {"on", "x", "1"},
	"l2-cache-size":         {"65536", "x", "1.5"},
	"pass-discard-snapshot": {"true", "x"},
}

// optionException is an option and a way to give it.
type optionException struct{ option, way string }

// optionExceptions are differences that are meant.
var optionExceptions = []optionException{
	// Nothing is written with -r, whatever options say.
	{"read-only=off", "read-only json top"},
	{"read-only=no", "read-only json top"},
	{"read-only=null", "read-only json top"},
	{"read-only=off", "open -r -o"},
	{"read-only=no", "open -r -o"},
	// An option may be said to be what it is already.
	{"locking=auto", "reopen -o child"},
}

var blockName = regexp.MustCompile(`#block\d+`)

// TestNodeOptions holds every option of a node, in every way to give it, against the original: what
// is said, the status, and what became of the files. Without BLKSH_TIER=2 it takes one in 24.
func TestNodeOptions(t *testing.T) {
	t.Parallel()
	original := reference(t)
	for _, s := range []optionStack{{"raw", "raw.img"}, {"qcow2", "q.qcow2"}} {
		for key, values := range nodeOptions {
			t.Run(s.driver+"/"+key, func(t *testing.T) {
				t.Parallel()
				for _, value := range values {
					for _, way := range optionWays {
						h := fnv.New32()
						fmt.Fprint(h, s, key, value, way.name)
						if !blockdevtest.Sampled(int(h.Sum32()%24), 24) {
							continue
						}
						compareOption(t, original, s, way.name, key+"="+value,
							way.args(s, key, value))
					}
				}
			})
		}
	}
}

// requests change the image in the ways that options are about.
var requests = []string{
	"write -q -P 1 0 512", "write -q -P 0 4k 4k", "discard -q 64k 64k", "flush",
	"read -q 0 512",
}

// optionRun runs one of both programs in a directory of its own, and says how it ended and what
// became of the files.
func optionRun(t *testing.T, p program, s optionStack, args []string) string {
	dir := workDir(t, s.file)
	writeLinked(t, filepath.Join(dir, "over.qcow2"), "raw.img")
	for _, r := range requests {
		args = append(args, "-c", r)
	}
	a, err := p.run(run{dir: dir, args: args})
	if err != nil {
		t.Fatal(err)
	}
	said := a.status + "\n" + a.stdout + a.stderr + sums(t, dir)
	return blockName.ReplaceAllString(said, "#block")
}

func compareOption(t *testing.T, original program, s optionStack, way, what string, args []string) {
	meant := slices.Contains(optionExceptions, optionException{what, way})
	args = args[:len(args):len(args)]
	want, got := optionRun(t, original, s, args), optionRun(t, asQemuIO.as("qemu-7.2"), s, args)
	if (want != got) != meant {
		t.Errorf("%s, %s: %q\n%swant (%v)\n%s", way, what, args, got, !meant, want)
	}
}

// TestDiscardEdges: what becomes of the edge of a discard that is no whole block of a device is as
// in the release that is spoken: 7.2 fails, newer ones leave the edge alone.
func TestDiscardEdges(t *testing.T) {
	t.Parallel()
	original := reference(t)
	for _, sector := range []int{512, 4096} {
		dev := blockdevtest.Loop(t, 1<<20, sector, false)
		for _, length := range []string{"100", "4k", "4196", "8k"} {
			args := []string{
				"-n", "-f", "raw", "-c", "discard -q 4096 " + length, "-c",
				"discard -q 512 " + length, dev,
			}
			want, err := original.run(run{args: args})
			if err != nil {
				t.Fatal(err)
			}
			got, err := asQemuIO.as("qemu-7.2").run(run{args: args})
			if err != nil {
				t.Fatal(err)
			}
			if got.status != want.status || got.stdout != want.stdout {
				t.Errorf("sectors of %d, %s: %s, %q, want %s, %q", sector, length, got.status,
					got.stdout, want.status, want.stdout)
			}
			for _, p := range []program{asQemuIO, asBlksh} {
				newer := args
				if p.path == asBlksh.path {
					newer = append([]string{"-w"}, args...)
				}
				if got, err = p.run(run{args: newer}); err != nil || got.status != "exit 0" {
					t.Errorf("sectors of %d, %s by %s: %s, %q, %v", sector, length, p.path,
						got.status, got.stdout+got.stderr, err)
				}
			}
		}
	}
}
