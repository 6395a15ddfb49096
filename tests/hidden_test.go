package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPasswordsHidden: a password in the name of an image is in nothing that is said or noted, and
// the qemu dialect says names as they are.
func TestPasswordsHidden(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	socket := filepath.Join(dir, "s")
	server, err := startServer("raw", nbdImage(t, "raw"), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { killServer(server) })
	const password, hidden = "geheim", "***"
	there := "nbd+unix://me:" + password + "@/?socket=" + socket
	gone := there + "-gone"
	member := `json:{"driver":"nbd","password":"geheim","server":{"type":"unix","path":"gone"}}`
	calls := [][]string{
		{"-r", gone},
		{"-r", "http://me:geheim@["},
		{"-r", "iscsi://me%geheim@/x"},
		{"-r", "rbd:pool/image:key=geheim:x"},
		{"-r", member},
		{"-w", "raw.img", "copy", "-n", gone},
		{"-w", "raw.img", "copy", "-f", "raw", "-n", "--journal", "copied", there},
		{"-r", "-f", "raw", "raw.img", "compare", "--report", "compared.html", gone},
		{
			"-w", "-f", "raw", there, "-c", "images", "-c", "info", "-c", "write 0 4k", "-c",
			"sum --report summed.html", "-c", "verify_write --journal verified 0 64k", "-c",
			"write 1P 4k",
		},
		{"-r", "-f", "raw", there, "open " + there},
		{"create", "-b", gone, "-F", "raw", "-f", "qcow2", "new.qcow2"},
		{"--undo", "undone", "-w", "-f", "raw", there, "write", "0", "4k"},
	}
	masked := 0
	for _, call := range calls {
		for _, voice := range [][]string{nil, {"--json"}} {
			a, err := asBlksh.run(run{dir: dir, args: append(voice, call...)})
			if err != nil {
				t.Fatal(err)
			}
			said := a.stdout + a.stderr
			if strings.Contains(said, password) {
				t.Errorf("%q: %s", call, said)
			}
			masked += strings.Count(said, hidden)
		}
	}
	if masked < 2*len(calls)-2 {
		t.Errorf("%d passwords were hidden in %d calls", masked, 2*len(calls))
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(filepath.Join(dir, f.Name())); err == nil &&
			strings.Contains(string(b), password) {
			t.Errorf("%s has the password", f.Name())
		}
	}
	a, err := asQemuIO.run(run{dir: dir, args: []string{"-r", gone}})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.stderr, gone) {
		t.Errorf("as qemu-io: %s", a.stderr)
	}
}
