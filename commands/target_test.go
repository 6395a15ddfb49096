package commands_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/commands/session"
)

// writers are the commands that write to a file %s besides images, and those that make images.
var writers = []string{
	"create --force -f qcow2 %s 1M",
	"create --force -f raw %s 1M",
	"create --force -f qcow2 file:%s 1M",
	"create --force -f qcow2 json:{'driver':'file','filename':'%s'} 1M",
	"create --force -f qcow2 host_device:%s 1M",
	"read -q -o %s 0 4k",
	"read -q --force -o %s 0 4k",
	"verify_write --journal %s 0 4k",
	"verify_write --state %s 0 4k",
}

// sumOf is a checksum of all that a file or device holds now.
func sumOf(t *testing.T, name string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// leaveAlone runs all writers on a target, each of which must fail and leave it as it is.
func leaveAlone(t *testing.T, s *shell, what, target string) {
	t.Helper()
	before := sumOf(t, target)
	for _, w := range writers {
		line := fmt.Sprintf(w, target)
		err := s.Run(context.Background(), session.Line{Text: line})
		if said := s.dialogue(t); err == nil || strings.TrimSpace(said) == "" {
			t.Errorf("%s: '%s' was not refused, or without a word: %q", what, line, said)
		}
		if sumOf(t, target) != before {
			t.Fatalf("%s: '%s' changed it", what, line)
		}
	}
}

// TestOpenImagesAreNoTargets tries all layers of an image that is open, by all their names.
func TestOpenImagesAreNoTargets(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("base"), bytes.Repeat([]byte{1}, 1<<20), 0o666),
		os.Link(at("base"), at("hard")), os.Symlink("base", at("link")),
		os.WriteFile(at("other"), bytes.Repeat([]byte{2}, 1<<20), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	if said := s.dialogue(t, "create -f qcow2 -b "+at("base")+" -F raw "+at("top"),
		"open -a other -f raw -r "+at("other"), "open -a top -f qcow2 "+
			at("top")); strings.Contains(said, "!") {
		t.Fatal(said)
	}
	for _, name := range []string{"top", "base", "hard", "link", "other"} {
		leaveAlone(t, s, name, at(name))
	}
}

// TestLockedImagesAreNoTargets tries an image that another program has open.
func TestLockedImagesAreNoTargets(t *testing.T) {
	name := raw(t, 1<<20)
	holder := exec.Command(blockdevtest.Peer(t, "qemu-io", "qemu-utils"), "-f", "raw", name)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_, _ = io.WriteString(in, "quit\n")
		_, _ = io.Copy(io.Discard, out)
		_ = holder.Wait() // its status says nothing about us
	}()
	if _, err := io.WriteString(in, "length\n"); err != nil {
		t.Fatal(err)
	}
	// now it has it open
	if _, err := io.ReadFull(out, make([]byte, len("qemu-io> 1 MiB"))); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -f raw "+raw(t, 64<<10))
	leaveAlone(t, s, "held by qemu-io", name)
}

// TestUsedDevicesAreNoTargets tries a mounted device, what is behind it, and what an image that is
// open lies on.
func TestUsedDevicesAreNoTargets(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(name, []byte("begin"), 0o600),
			os.Truncate(name, 16<<20)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	below := file("below")
	lower := blockdevtest.LoopOver(t, below)
	upper := blockdevtest.LoopOver(t, lower)
	blockdevtest.Mount(t, upper)
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -f raw "+raw(t, 64<<10))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(upper, link); err != nil {
		t.Fatal(err)
	}
	for what, target := range map[string]string{
		"mounted": upper, "link": link,
		"under a loop device": lower, "file under loop devices": below,
	} {
		leaveAlone(t, s, what, target)
		if said := s.dialogue(t, "open -a x -f raw -w "+
			target); !strings.Contains(said, "mounted on") {
			t.Errorf("%s: open for writing: %q", what, said)
			s.dialogue(t, "close")
		}
	}

	open := file("open")
	device := blockdevtest.LoopOver(t, open)
	s.dialogue(t, "open -a device -f raw -w "+device)
	leaveAlone(t, s, "open", device)
	leaveAlone(t, s, "file of a device that is open", open)
	s.dialogue(t, "close", "open -a file -f raw -r "+open)
	leaveAlone(t, s, "device on a file that is open", device)
}

// TestDevicesNeedAsking: a free device is written to if that was asked for, and otherwise left
// alone with advice.
func TestDevicesNeedAsking(t *testing.T) {
	device := blockdevtest.Loop(t, 16<<20, 512, false)
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -f raw "+raw(t, 64<<10))
	for _, w := range []string{"read -q%s -o " + device + " 0 4k", "create%s -f raw " + device +
		" 16M", "create%s -f qcow2 " + device + " 1M"} {
		before := sumOf(t, device)
		said := s.dialogue(t, fmt.Sprintf(w, ""))
		if !strings.Contains(said, "--force") || sumOf(t, device) != before {
			t.Errorf("%s: %q", w, said)
		}
		if said := s.dialogue(t, fmt.Sprintf(w, " --force")); strings.Contains(said, "!") {
			t.Errorf("%s: %q", w, said)
		}
	}
	if said := s.dialogue(t, "open -a made -f qcow2 -w "+device,
		"length"); !strings.HasSuffix(said, "1 MiB\n") {
		t.Errorf("the image on the device: %q", said)
	}
	for _, option := range []string{"--journal", "--state"} { // nothing for these to be on
		if said := s.dialogue(t, "verify_write "+option+" "+blockdevtest.Loop(t, 1<<20, 512, false)+
			" 0 4k"); !strings.Contains(said, "is a device") {
			t.Errorf("%s: %q", option, said)
		}
	}
}

// TestDeviceConfirmed: whoever types a line that overwrites a device is asked for its name, and
// nothing happens for another answer.
func TestDeviceConfirmed(t *testing.T) {
	device := blockdevtest.Loop(t, 16<<20, 512, false)
	for _, line := range []string{
		"read -q --force -o " + device + " 0 4k",
		"create --force -f qcow2 " + device + " 1M",
	} {
		answer := "no"
		asked := 0
		s := newShell(t, "native", func(c *session.Config) {
			c.Interactive = true
			c.Confirm = func(context.Context, string) (
				string, error,
			) {
				asked++
				return answer, nil
			}
		})
		s.dialogue(t, "open -f raw "+raw(t, 64<<10))
		before := sumOf(t, device)
		if err := s.Run(t.Context(), session.Line{Text: line, Typed: true}); err == nil ||
			asked != 1 || sumOf(t, device) != before {
			t.Errorf("%s: %v, asked %d times", line, err, asked)
		}
		answer = device
		if err := s.Run(t.Context(), session.Line{Text: line, Typed: true}); err != nil ||
			asked != 2 || sumOf(t, device) == before {
			t.Errorf("%s: %v, asked %d times", line, err, asked)
		}
		s.Finish(context.Background())
	}
}

// TestReadKeepsWhatIsThere: the file changes when all bytes were read, and only then; bytes that
// were not as expected were read.
func TestReadKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	name := raw(t, 64<<10)
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -o driver=blkdebug,image.driver=file,image.filename="+name+
		",inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=16,inject-error.0.errno=5")
	for _, c := range []struct {
		args  string
		saved bool
	}{
		{"0 64k", false},          // a read error in the middle
		{"0 65k", false},          // outside the image
		{"0 4x", false},           // no number
		{"--nothing 0 4k", false}, // no flag
		{"-P 1 0 4k", true},       // other bytes than expected
		{"0 4k", true},
	} {
		if err := os.WriteFile(old, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(fresh)
		for _, target := range []string{old, fresh} {
			said := s.dialogue(t, "read -q -o "+target+" "+c.args)
			got, err := os.ReadFile(target)
			switch {
			case c.saved && len(got) != 4096:
				t.Errorf("%s: %d bytes, %v, %q", c.args, len(got), err, said)
			case !c.saved && target == old && string(got) != "before":
				t.Errorf("%s: %d bytes in place of the old ones, %q", c.args, len(got), said)
			case !c.saved && target == fresh && !errors.Is(err, os.ErrNotExist):
				t.Errorf("%s: a file of %d bytes, %q", c.args, len(got), said)
			}
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("left over: %v, %v", list, err)
	}
}

// TestOnlyRecordsAreReplaced: a journal takes the place of a journal and a state that of a state,
// if the job begins; any other file stays.
func TestOnlyRecordsAreReplaced(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -f raw "+raw(t, 64<<10))
	if said := s.dialogue(t, "verify_write --journal "+at("journal")+" --state "+at("state")+
		" 0 16k"); strings.Contains(said, "!") {
		t.Fatal(said)
	}
	if err := errors.Join(os.WriteFile(at("text"), []byte("text"), 0o600),
		os.WriteFile(at("zeroes"), make([]byte, 4096), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		option   string
		files    []string // besides a new one
		replaced string
	}{
		{"--journal", []string{"text", "zeroes", "state"}, "journal"},
		{"--state", []string{"text", "zeroes", "journal"}, "state"},
	} {
		for _, name := range c.files {
			before := sumOf(t, at(name))
			if said := s.dialogue(t, "verify_write "+c.option+" "+at(name)+
				" 0 4k"); !strings.Contains(said, "is there already") ||
				sumOf(t, at(name)) != before {
				t.Errorf("%s %s: %q", c.option, name, said)
			}
		}
		before := sumOf(t, at(c.replaced))
		if said := s.dialogue(t, "verify_write "+c.option+" "+at(c.replaced)+
			" 1M 4k"); !strings.Contains(said, "!") || sumOf(t, at(c.replaced)) != before {
			t.Errorf("%s of a job that cannot begin: %q", c.option, said)
		}
		s.dialogue(t, "verify_write "+c.option+" "+at("none")+" 1M 4k")
		if _, err := os.Stat(at("none")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s of a job that cannot begin is left: %v", c.option, err)
		}
		if said := s.dialogue(t, "verify_write "+c.option+" "+at(c.replaced)+
			" 0 4k"); strings.Contains(said, "!") || sumOf(t, at(c.replaced)) == before {
			t.Errorf("%s again: %q", c.option, said)
		}
	}
}

// TestStateOfJobIsNoOther: the state that a job file asks for takes the place of a state only,
// which is seen before anything is written.
func TestStateOfJobIsNoOther(t *testing.T) {
	dir := t.TempDir()
	name, job, state := raw(t, 64<<10), filepath.Join(dir, "job.fio"),
		filepath.Join(dir, "local-a-0-verify.state")
	text := "[a]\naux-path=" + dir +
		"\nrw=write\nbs=4k\nsize=16k\nverify=crc32c\nverify_state_save=1\n"
	if err := errors.Join(os.WriteFile(job, []byte(text), 0o600),
		os.WriteFile(state, []byte("other"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -f raw "+name)
	before := sumOf(t, name)
	if said := s.dialogue(t, "verify_job "+job); !strings.Contains(said, "no state file") ||
		sumOf(t, name) != before {
		t.Errorf("%q, image changed %v", said, sumOf(t, name) != before)
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time over the state of the first
		if said := s.dialogue(t, "verify_job "+job); strings.Contains(said, "!") {
			t.Errorf("%q", said)
		}
	}
}

// TestDumpsFollowNoLinks: a link in the folder of dumps leads nowhere.
func TestDumpsFollowNoLinks(t *testing.T) {
	name := raw(t, 64<<10)
	dumps, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, "native")
	defer s.Finish(context.Background())
	s.dialogue(t, "open -a image -f raw "+name, "verify_write", "write -q -P 1 4k 4k")
	if said := s.dialogue(t, "verify_read --dump "+dumps); !strings.Contains(said, "1 of 16") {
		t.Fatal(said)
	}
	list, err := filepath.Glob(filepath.Join(dumps, "image.4096.*"))
	if err != nil || len(list) == 0 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, f := range list {
		if err := errors.Join(os.Remove(f), os.Symlink(other, f)); err != nil {
			t.Fatal(err)
		}
	}
	if said := s.dialogue(t, "verify_read --dump "+dumps); !strings.Contains(said, list[0]) {
		t.Errorf("%q does not name %s", said, list[0])
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "other" {
		t.Errorf("it holds %q, %v", got, err)
	}
}

// TestWaitsForNobody: a command that is to end does not wait for whoever should read or write a
// FIFO that it was given.
func TestWaitsForNobody(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create disk.raw 1M", "create other.raw 1M")
	if err := unix.Mkfifo("fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"undo fifo", "merge fifo", "write -s fifo 0 4k", "read -o fifo 0 4k", "verify_job fifo",
		"map --svg fifo", "iszero --report fifo", "verify_write --journal fifo 0 64k",
		"verify_read --journal fifo", "verify_read -t crc32c --state fifo",
		"copy -n --journal fifo other.raw", "open -a more --undo fifo other.raw",
		"read -P 'fifo' 0 512", "verify_write -P 'fifo' 0 64k",
	} {
		s := newShell(t, "native")
		if err := s.Run(t.Context(), session.Line{Text: "open -f raw disk.raw"}); err != nil {
			t.Fatal(err)
		}
		stopped, stop := context.WithCancelCause(t.Context())
		stop(session.ErrInterrupted)
		if err := s.Run(stopped, session.Line{Text: line}); !errors.Is(err,
			session.ErrInterrupted) {
			t.Errorf("%s: %v", line, err)
		}
		s.Finish(t.Context())
	}
}

// TestUndoKeepsSomething: a log of changes is not kept where nothing stays.
func TestUndoKeepsSomething(t *testing.T) {
	dir := t.TempDir()
	said, status := in(t, dir, nil, "create disk.raw 1M",
		"open -f raw --undo /dev/null disk.raw", "write 0 4k")
	if status != 2 || !strings.Contains(said, "keeps nothing") || strings.Contains(said, "wrote") {
		t.Errorf("status %d, %s", status, said)
	}
}

// TestBothFail: of two things that fail in one command both are told, and the graver is its status.
func TestBothFail(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create disk.raw 1M", "create other.raw 1M", "open -f raw disk.raw",
		"write -q -P 7 0 64k")
	for line, says := range map[string]string{
		"iszero --svg /dev/full":                         "not zero at 0",
		"iszero --report /dev/full":                      "not zero at 0",
		"compare -f raw --svg /dev/full other.raw":       "different at 0",
		"compare -f raw --report /dev/full other.raw":    "different at 0",
		"read -P 1 -o /dev/full 0 64k":                   "65536",
		"verify_read --svg /dev/full 0 64k":              "damaged",
		"verify_read --report /dev/full 0 64k":           "damaged",
		"verify_read -t crc32c --report /dev/full 0 64k": "damaged",
	} {
		said, status := in(t, dir, nil, "open -r -f raw disk.raw", line)
		if status != 5 || !strings.Contains(said, says) ||
			!strings.Contains(said, "/dev/full: No space left on device") {
			t.Errorf("%s: status %d, %s", line, status, said)
		}
	}
}
