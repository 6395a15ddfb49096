package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
)

// schemaFile describes the JSON for people.
const schemaFile = "../commands/print/schema.md"

func TestSchemaDocs(t *testing.T) { fresh(t, schemaFile, schemaReference()) }

// schemaReference is the schema in Markdown, for people.
func schemaReference() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# The JSON of blksh, version %d

With `+"`--json`"+` standard output is one object a line and nothing else. New kinds and new fields may
come at any time; the version grows when something that was there changes or goes. This page is computed
from the events that the program encodes.

A path that is not UTF-8 comes in base64, under a name that ends in `+"`%s`"+`.

## Fields of every kind

`, event.SchemaVersion, "_b64")
	fieldTable(&b, print.Envelope())
	for _, k := range print.Schema() {
		fmt.Fprintf(&b, "\n## %s\n\n%s", k.Name, k.Doc)
		if k.Failure {
			b.WriteString(" A failure: `error` is true.")
		}
		b.WriteString("\n")
		if len(k.Fields) > 0 {
			b.WriteString("\n")
			fieldTable(&b, k.Fields)
		}
	}
	return []byte(b.String())
}

func fieldTable(b *strings.Builder, fields []print.Field) {
	b.WriteString("| field | type | unit | | |\n| --- | --- | --- | --- | --- |\n")
	for _, f := range fields {
		when := "always"
		if !f.Always {
			when = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Type, f.Unit, when, f.Doc)
	}
}

// jsonLines are lines by the command that they are about, beside the examples of its help, with
// raw.img open and disk.img in the same folder.
var jsonLines = map[string][]string{
	"abort":       {"abort"},
	"aio_discard": {"aio_discard 0 64k"},
	"aio_flush":   {"aio_read 0 512\naio_flush"},
	"aio_read":    {"aio_read -P 9 0 512", "aio_read -v 0 20", "aio_read -i 0 512", "aio_read x 5"},
	"aio_write":   {"aio_write -P 9 0 512", "aio_write -z -u 0 4k", "aio_write -z 0 4k 4k"},
	"alloc":       {"alloc 0", "alloc 0 1M"},
	"amend":       {"create new.qcow2 1M\nopen -w -a new new.qcow2\namend -o lazy_refcounts=on\namend -o nothing=1", "amend"},
	"bench":       {"bench -b 4k -n 8 read", "bench -b 4k -n 8 randwrite 0 64k", "bench"},
	"bitmap": {
		"bitmap list",
		"create a.qcow2 1M\nopen -a a a.qcow2\nbitmap add b\nwrite -q 0 512\nbitmap list\nmap --bitmap b\nmap --totals --bitmap b\nbitmap clear x",
	},
	"break":        {"break write_aio A"},
	"capabilities": {"capabilities", "capabilities --json"},
	"check":        {"check", "check -r nonsense", "check disk.img", "check missing.img"},
	"close":        {"close", "close nothing"},
	"commit":       {"create -b disk.img -F raw o.qcow2\ncommit o.qcow2", "commit disk.img", "commit missing.img"},
	"compare":      {"compare disk.img", "open -a two -f raw disk.img\ncompare raw.img", "compare missing.img"},
	"copy":         {"copy new.qcow2", "copy -f qcow2 disk.img new\ncopy -n disk.img raw.img", "copy missing.img x", "copy -n raw.img nothing"},
	"create":       {"create new.qcow2 1M\nopen -a new new.qcow2\ninfo\nmap\ncheck", "create -f nonsense x 1M"},
	"discard":      {"discard 0 64k", "discard 1M 1"},
	"edit":         {"edit", "edit 1G"},
	"exports":      {"exports nbd+unix:///?socket=missing", "exports nonsense"},
	"find":         {"find --text Hello", "find --text nowhere", "find --regex [Hh]e --context 1"},
	"flush":        {"flush"},
	"help":         {"help", "help read", "help nothing", "help json"},
	"images":       {"images"},
	"info":         {"info"},
	"iszero":       {"iszero", "iszero 8k 4k"},
	"length":       {"length"},
	"luks":         {"luks slots", "luks remove"},
	"map":          {"map", "map --totals", "map --draw", "map --svg p.svg\nmap --svg p.svg"},
	"measure":      {"measure", "measure -f qcow2 --size 1G", "measure -f qcow2 -o cluster_size=3 --size 1G", "measure -f vdi disk.img"},
	"merge":        {"merge raw.img", "merge nosuch.json", "merge"},
	"multiwrite":   {"multiwrite 0 512 ; 4k 1k"},
	"next":         {"next", "find --hex 00 --max 1\nnext", "find --text nowhere\nnext"},
	"open":         {"open disk.img", "open -a two disk.img", "open -a x missing.img", "open -t nonsense disk.img"},
	"quit":         {"quit"},
	"read":         {"read 0 512", "read -v 0 70k", "read -P 1 0 64k", "read -q 0 512", "read 1M 1", "read -o - 0 512", "read"},
	"readv":        {"readv -v 0 16 16", "readv -P 1 0 512 512"},
	"remove_break": {"remove_break A"},
	"rebase":       {"create -b disk.img -F raw o.qcow2\nrebase -b '' o.qcow2\nrebase -u -b x -F raw o.qcow2", "rebase disk.img"},
	"reopen":       {"reopen -r\nwrite 0 512", "reopen -r -w"},
	"resize":       {"resize 2M", "resize --shrink 4k", "resize 4k", "resize -- -9M"},
	"resume":       {"resume A"},
	"serve":        {"serve", "serve --unix missing/socket", "serve --bind 127.0.0.1 --unix x", "serve --unix x a a", "serve --unix x --export a --export b a", "serve --unix x --bitmap a"},
	"show":         {"show", "show qcow2", "write -q --hex 55aa 510\nshow mbr", "show x"},
	"sigraise":     {"sigraise 0", "sigraise 1000"},
	"sleep":        {"sleep 1", "sleep x"},
	"snapshot":     {"create new.qcow2 1M\nopen -w -a new new.qcow2\nsnapshot create a\nsnapshot list\nsnapshot apply a\nsnapshot delete a", "snapshot list"},
	"source":       {"source missing.blk"},
	"sum":          {"sum", "sum 0 4k", "sum --tree", "sum --tree --shard 1/2", "sum --shard 2/9"},
	"truncate":     {"truncate 2M", "truncate -m nonsense 2M"},
	"undo":         {"close\nopen --undo log raw.img\nwrite 0 4k\nclose\nopen raw.img\nundo --check log\nundo log\nwrite 0 512\nundo log", "undo missing", "undo raw.img"},
	"use":          {"use raw.img", "use nothing"},
	"verify_job":   {"verify_job missing.fio", "verify_job"},
	"verify_read":  {"verify_write 0 64k\nverify_read 0 64k\nwrite -q 4k 512\nverify_read --all 0 64k", "verify_read -t nonsense"},
	"verify_write": {"verify_write 0 64k", "verify_write -t sha256 -b 8k 0 64k", "verify_write 1 1"},
	"version":      {"version", "version --json"},
	"view":         {"view"},
	"wait_break":   {"wait_break A"},
	"wire":         {"wire nbd+unix:///?socket=missing flush", "wire nonsense flush"},
	"write":        {"write 0 512", "write -z -u 0 64k", "write -P zero 0 512", "write -s missing 0 512", "write -n 0 512", "write -X"},
	"writev":       {"writev 0 512 512"},
	"zone_append":  {"zone_append 0 4k"},
	"zone_close":   {"zone_close 0 4k"},
	"zone_finish":  {"zone_finish 0 4k"},
	"zone_open":    {"zone_open 0 4k"},
	"zone_report":  {"zone_report 0 1"},
	"zone_reset":   {"zone_reset 0 4k"},
}

// deadly are commands after which the program cannot say anything.
var deadly = map[string]bool{"abort": true}

// TestJSONOfEveryCommand holds everything that any command says against the schema, as TestExamples
// does.
func TestJSONOfEveryCommand(t *testing.T) {
	t.Parallel()
	names := commandNames(t)
	for name, lines := range jsonLines {
		if !names[name] {
			t.Errorf("jsonLines has lines for %s, which is no command", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, script := range lines {
				a, err := asBlksh.run(run{
					dir: workDir(t, "raw.img", "disk.img"), stdin: script + "\n",
					args: []string{"--json", "--step", "-f", "raw", "raw.img"},
				})
				if err != nil {
					t.Fatal(err)
				}
				if a.stderr != "" {
					t.Errorf("%s: stderr %q", script, a.stderr)
				}
				if !deadly[name] {
					checkObjects(t, a)
				}
			}
		})
	}
}

// commandNames asks the program.
func commandNames(t *testing.T) map[string]bool {
	t.Helper()
	a, err := asBlksh.run(run{dir: t.TempDir(), args: []string{"-c", "capabilities --json"}})
	if err != nil {
		t.Fatal(err)
	}
	var able struct {
		Commands []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(a.stdout), &able); err != nil {
		t.Fatalf("%q: %v", a.stdout, err)
	}
	names := map[string]bool{}
	for _, c := range able.Commands {
		names[c.Name] = true
	}
	return names
}

// TestJSONIsNative: no other dialect has it.
func TestJSONIsNative(t *testing.T) {
	t.Parallel()
	for _, p := range []program{asQemuIO, asBlksh.as("qemu-2.4")} {
		a, err := p.run(run{dir: t.TempDir(), args: []string{"--json", "-c", "help"}})
		if err != nil {
			t.Fatal(err)
		}
		if a.status != "exit 1" || !strings.Contains(a.stderr, "unrecognized option '--json'") ||
			strings.Contains(a.stdout, "{") {
			t.Errorf("%s, %q, %q", a.status, a.stdout, a.stderr)
		}
	}
}

// TestJSONPaths: names that are not UTF-8 come in base64 everywhere.
func TestJSONPaths(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	name := "bad\xff.img"
	if err := os.Rename(filepath.Join(dir, "raw.img"), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	a, err := asBlksh.run(
		run{
			dir: dir,
			args: []string{
				"--json", "-f", "raw", name, "-c", "info", "-c", "images", "-c",
				"create " + name + " 1M",
			},
		})
	if err != nil {
		t.Fatal(err)
	}
	checkObjects(t, a)
	if got := strings.Count(a.stdout, `"path_b64":"YmFk/y5pbWc="`); got != 3 ||
		strings.Contains(a.stdout, `"path":`) {
		t.Errorf("%d names in base64: %s", got, a.stdout)
	}
}
