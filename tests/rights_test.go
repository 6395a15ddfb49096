package tests

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// Names that a hostile image may hold. VICTIM is a qcow2 image that is not to be written, and that
// has to be repaired before it is; EVIL is what the maker of the image wants to have in it.
var hostileNames = []string{
	"VICTIM",
	"json:{'driver':'qcow2','file':{'driver':'file','filename':'VICTIM'}}",
	"json:{'driver':'qcow2','read-only':false,'file':{'driver':'file','filename':'VICTIM'}}",
	"json:{'driver':'qcow2','read-only':'off','file':{'driver':'file','filename':'VICTIM','read-only':'off'}}",
	"json:{'driver':'raw','file':{'driver':'qcow2','read-only':'off','file':{'driver':'file','filename':'VICTIM'}}}",
	"json:{'driver':'raw','file.driver':'qcow2','file.read-only':false,'file.file.filename':'VICTIM','file.file.driver':'file'}",
	"json:{'driver':'raw','file':{'driver':'copy-on-read','read-only':'off','file':{'driver':'qcow2','read-only':'off'," +
		"'file':{'driver':'file','filename':'VICTIM'},'backing':{'driver':'raw','file':{'driver':'file','filename':'EVIL'}}}}}",
	"json:{'driver':'copy-on-read','file':{'driver':'qcow2','file':{'driver':'file','filename':'VICTIM'},'backing':'EVIL'}}",
	"json:{'driver':'blkdebug','read-only':0,'image':{'driver':'qcow2','read-only':0,'file':{'driver':'file','filename':'VICTIM'}}}",
	"json:{'driver':'qcow2','file':{'driver':'file','filename':'middle'},'backing':{'driver':'qcow2','read-only':'n'," +
		"'file':{'driver':'file','filename':'VICTIM'}}}",
	"json:{'driver':'compress','read-only':false,'file':{'driver':'qcow2','read-only':false,'file':{'driver':'file','filename':'VICTIM'}}}",
	"json:{'driver':'qcow2','auto-read-only':true,'detect-zeroes':'unmap','discard':'unmap','file':{'driver':'file','filename':'VICTIM'}}",
	"json:{'driver':'raw','file':'mine'}",
	"blkdebug::VICTIM",
	"middle",
}

// TestHostileNames: what an image names is not written, whatever it asks for and however it is
// opened; with -r nothing is.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	for i, name := range hostileNames {
		t.Run(strings.NewReplacer("/", "", "{", "", "}", "").Replace(name), func(t *testing.T) {
			t.Parallel()
			dir := workDir(t, "dirty.qcow2", "raw.img")
			for from, to := range map[string]string{"dirty.qcow2": "VICTIM", "raw.img": "EVIL"} {
				if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
					t.Fatal(err)
				}
			}
			writeLinked(t, filepath.Join(dir, "middle"), hostileNames[2])
			writeLinked(t, filepath.Join(dir, "hostile"), name)
			hostile := filepath.Join(dir, "hostile")
			image, err := os.ReadFile(hostile)
			if err != nil {
				t.Fatal(err)
			}
			before := sums(t, dir)
			for _, p := range []program{asBlksh, asQemuIO.as("qemu-7.2")} {
				for _, way := range [][]string{
					{"-r"},
					{"-s"},
					{"-r", "-s"},
					{},
					{"-C"},
					{"-d", "unmap"},
				} {
					args := append(way[:len(way):len(way)], "-c", "read -q 0 1M", "-c", "flush",
						"-c", "map", "hostile")
					a, err := p.run(run{dir: dir, args: args})
					if err != nil {
						t.Fatal(err)
					}
					// its own bytes are those that the user gave leave to write
					if len(way) == 0 || way[0] != "-r" {
						if err := os.WriteFile(hostile, image, 0o666); err != nil {
							t.Fatal(err)
						}
					}
					if after := sums(t, dir); after != before {
						t.Fatalf("%d by %s %q: %s, %s; files changed: %s, were %s", i, p.path, way,
							a.status, a.stderr, after, before)
					}
				}
			}
		})
	}
}

// TestImageAsksForRights: what an image asks for is refused with the name of the image and the
// option; what the user asks for is done.
func TestImageAsksForRights(t *testing.T) {
	dir := workDir(t, "q.qcow2", "raw.img")
	for _, tt := range []struct{ option, asks string }{
		{`"read-only":false`, "read-only=off"},
		{`"file.read-only":"off"`, "file.read-only=off"},
		{`"force-share":true`, "force-share=on"},
		{`"file.locking":"off"`, "file.locking=off"},
	} {
		writeLinked(t, filepath.Join(dir, "over"), `json:{"driver":"qcow2",`+tt.option+
			`,"file.driver":"file","file.filename":"q.qcow2"}`)
		a, err := asBlksh.run(run{dir: dir, args: []string{"-r", "over", "length"}})
		if err != nil {
			t.Fatal(err)
		}
		a.wants(t, tt.option, "exit 3", "", "'over' asks for "+tt.asks+" ")
		a, err = asQemuIO.run(run{dir: dir, args: []string{"-r", "-c", "length", "over"}})
		if err != nil {
			t.Fatal(err)
		}
		a.wants(t, tt.option+" in the qemu dialect", "exit 0", "1 MiB\n", "")
	}
	writeLinked(t, filepath.Join(dir, "over"), "raw.img")
	a, err := asBlksh.run(run{dir: dir, args: []string{
		"-c", "open -o backing.driver=raw,backing.read-only=off,backing.file.locking=off over",
		"-c", "length",
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.wants(t, "options of the user", "exit 0", "1 MiB\n", "")
}

// TestImageNamesNoFile: an image may not stand on what is no file: a pipe, what a process has open,
// what the kernel makes up.
func TestImageNamesNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/fd/0", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		"fifo": "regular file", "/proc/self/fd/0": "has open", "/dev/stdin": "has open",
		"link": "has open", "/proc/self/mem": "makes up",
		"/sys/kernel/notes": "makes up", "/proc/version": "makes up",
		"/dev/zero":             "--allow-backing-device",
		"host_device:/dev/null": "--allow-backing-device",
		`json:{"driver":"host_device","filename":"/dev/zero"}`: "--allow-backing-device",
		"blkdebug:fifo:over": "regular file", "blkdebug:/dev/zero:over": "regular file",
	} {
		writeLinked(t, filepath.Join(dir, "over"), name)
		a, err := asBlksh.run(run{dir: dir, args: []string{"-r", "over", "read", "0", "512"}})
		if err != nil {
			t.Fatal(err)
		}
		a.wants(t, name, "exit 3", "", why)
	}
}

// TestImageNamesDevice: an image stands on a device by leave of the user, and only reads it.
func TestImageNamesDevice(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	dir := t.TempDir()
	for _, name := range []string{
		dev,
		`json:{"driver":"raw","file":{"driver":"host_device","filename":"` + dev + `"}}`,
	} {
		writeLinked(t, filepath.Join(dir, "over"), name)
		for _, tt := range []struct {
			status string
			args   []string
		}{
			{"exit 3", []string{"-c", "write -q 0 512", "over"}},
			{"exit 3", []string{"-r", "-c", "read -q 0 512", "over"}},
			{"exit 3", []string{"-w", "-c", "read -q 0 512", "over"}},
			{"exit 3", []string{"-c", "open -r over"}},
			{"exit 3", []string{"-c", "compare over", "null-co://"}},
			{"exit 0", []string{"--allow-backing-device", "-c", "write -q -P 1 0 512", "-c", "read -q -P 0 64k 512", "over"}},
			{"exit 0", []string{"-c", "open --allow-backing-device over", "-c", "read -q -P 1 0 512"}},
		} {
			a, err := asBlksh.run(run{dir: dir, args: tt.args})
			if err != nil {
				t.Fatal(err)
			}
			if a.status != tt.status || tt.status == "exit 3" &&
				!strings.Contains(a.stderr, "'over' stands on the device '"+dev+"'") {
				t.Errorf("%s, %q: %s, %q", name, tt.args, a.status, a.stderr)
			}
		}
		if b := firstByte(t, dev); b != 0 {
			t.Errorf("%s: written: %#x", name, b)
		}
	}
	writeLinked(t, filepath.Join(dir, "over"), dev)
	if a := on(t, "-c", "create -b "+filepath.Join(dir, "over")+" -F qcow2 "+
		filepath.Join(dir, "made")); a.status == "exit 0" {
		t.Error("an image was made over one that stands on a device")
	}
	if _, err := os.Stat(filepath.Join(dir, "made")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	f, err := os.OpenFile(dev, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("KDMV"); err != nil {
		t.Fatal(err)
	}
	on(t, dev, "read", "0", "512").wants(t, "a foreign format on a device", "exit 3", "",
		"has the format vmdk ")
}
