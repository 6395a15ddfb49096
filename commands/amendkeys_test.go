package commands_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// withSecrets runs lines in a folder where the secrets a, b and c are defined.
func withSecrets(t *testing.T, dir string, lines ...string) (said string, status int) {
	t.Helper()
	t.Chdir(dir)
	s := newShell(t, "native")
	giveSecrets(s)
	said = s.dialogue(t, lines...)
	s.Finish(context.Background())
	s.Printer.Flush()
	return said + s.out.String() + s.errs.String(), s.Status()
}

// giveSecrets defines the secrets a, b and c.
func giveSecrets(s *shell) {
	for _, id := range []string{"a", "b", "c"} {
		s.SetObject(id, blockdev.Secret("secret "+id))
	}
}

// amendments are changes of the keyslots of one image, one after the other. Each is refused or made
// as qemu-img does it.
var amendments = []string{
	"state=inactive,keyslot=0",
	"state=inactive,keyslot=0,old-secret=b",
	"state=inactive,keyslot=3,old-secret=a",
	"state=inactive,keyslot=3",
	"state=inactive,keyslot=8",
	"state=inactive,keyslot=-1",
	"state=inactive,old-secret=c",
	"state=inactive,old-secret=a",
	"state=inactive,old-secret=nosuch",
	"state=inactive",
	"state=inactive,new-secret=b,old-secret=c,iter-time=3",
	"state=inactive,iter-time=3,keyslot=9",
	"state=active",
	"state=active,new-secret=nosuch",
	"state=active,new-secret=b,keyslot=0",
	"state=active,new-secret=b,keyslot=8",
	"state=active,new-secret=b,keyslot=x",
	"state=active,old-secret=a,new-secret=b",
	"state=foo",
	"new-secret=b",
	"iter-time=3",
	"nothing=3",
	"cipher-alg=aes-128",
	"state=active,new-secret=b,iter-time=0",
	"state=active,new-secret=b,iter-time=1,keyslot=7",
	"state=active,new-secret=c,iter-time=1",
	"state=active,new-secret=a,iter-time=1,keyslot=3",
	"state=inactive,old-secret=b",
	"state=inactive,old-secret=a,keyslot=0",
	"state=inactive,keyslot=0",
	"state=inactive,keyslot=2",
	"state=inactive,old-secret=a",
	"state=inactive,keyslot=3",
}

// fill are further ones, for which qemu-img takes a second each.
var fill = append(slices.Repeat([]string{"state=active,new-secret=b,iter-time=1"}, 8),
	"state=inactive,old-secret=b")

// advice is what only one of the two adds.
var advice = regexp.MustCompile(`(?m)^  .*\n|encrypt\.|(\n|: )This option is only.*|; there can be .*`)

// TestAmendKeys: the slots of an encrypted image after each change, and the words of each refusal,
// are qemu-img's. Both change an image of their own, and each opens with what the other made.
func TestAmendKeys(t *testing.T) {
	blockdevtest.Peer(t, "qemu-img", "qemu-utils")
	list, formats := amendments, []string{"qcow2", "luks"}
	if !blockdevtest.Thorough() {
		formats = formats[:1] // QEMU measures for half a second, each time
	} else {
		list = slices.Concat(list, fill)
	}
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			dir, prefix, make := t.TempDir(), "", ""
			if format == "qcow2" {
				prefix, make = "encrypt.", "encrypt.format=luks,"
			}
			for _, name := range []string{"ours", "theirs"} {
				said, status := withSecrets(t, dir, "create -f "+format+" -o "+make+prefix+
					"key-secret=a,"+prefix+"iter-time=1 "+name+" 1M")
				if status != 0 {
					t.Fatal(said)
				}
			}
			opened := "driver=" + format + "," + prefix + "key-secret=a,file.filename="
			for _, a := range list {
				options := prefix + strings.ReplaceAll(a, ",", ","+prefix)
				theirs := amendTheirs(t, opened+filepath.Join(dir, "theirs"), options)
				said, status := withSecrets(t, dir, "open -o "+opened+"ours", "amend -o "+options)
				ours := ""
				if status != 0 {
					_, ours, _ = strings.Cut(advice.ReplaceAllString(said, ""), "amend: ")
				}
				if ours, theirs = strings.TrimSpace(ours),
					strings.TrimSpace(theirs); ours != theirs {
					t.Errorf("%s: %q, qemu-img %q", a, ours, theirs)
				}
				if is, want := slotsOf(t, dir, "ours"), slotsOf(t, dir, "theirs"); is != want {
					t.Fatalf("%s: slots %s, qemu-img %s", a, is, want)
				}
			}
		})
	}
}

// amendTheirs has qemu-img change an image, and returns how it refuses.
func amendTheirs(t *testing.T, opened, options string) string {
	t.Helper()
	for {
		out, _ := exec.Command(blockdevtest.Peer(t, "qemu-img", "qemu-utils"), "amend",
			"--object", "secret,id=a,data=secret a", "--object", "secret,id=b,data=secret b",
			"--object", "secret,id=c,data=secret c", "--image-opts", opened, "-o",
			options).CombinedOutput()
		said := advice.ReplaceAllString(string(out), "")
		if !strings.Contains(said, "accurate CPU usage") { // it cannot measure on every kernel
			return strings.TrimPrefix(said, "qemu-img: ")
		}
	}
}

// slotsOf is which slots are in use, in the order of their numbers.
func slotsOf(t *testing.T, dir, name string) string {
	t.Helper()
	var list []string
	for line := range strings.Lines(qemuImg(t, "info", filepath.Join(dir, name))) {
		if _, active, ok := strings.Cut(line, "active: "); ok {
			list = append(list, strings.TrimSpace(active))
		}
	}
	return strings.Join(list, " ")
}

// TestAmendKeysOf: keys of an image that is not encrypted so are refused, and so is an image that
// cannot be amended in another part of what was asked: nothing is changed then.
func TestAmendKeysOf(t *testing.T) {
	dir := t.TempDir()
	withSecrets(t, dir, "create plain.qcow2 1M",
		"create -f qcow2 -o encrypt.format=aes,encrypt.key-secret=a aes.qcow2 1M",
		"create -f qcow2 -o encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=1 luks.qcow2 1M")
	for _, c := range []struct{ image, options, says string }{
		{"plain", "encrypt.state=active,encrypt.new-secret=b", "encryption not present"},
		{"aes", "encrypt.state=active,encrypt.new-secret=b", "Only LUKS encryption options"},
		{
			"luks", "compat=0.10,lazy_refcounts=on,encrypt.state=active,encrypt.new-secret=b",
			"Lazy refcounts only supported",
		},
		{
			"luks", "lazy_refcounts=on,encrypt.state=inactive,encrypt.keyslot=0",
			"only active keyslot",
		},
	} {
		before := contents(t, c.image+".qcow2")
		said, status := withSecrets(t, dir,
			"open -o driver=qcow2,encrypt.key-secret=a,file.filename="+c.image+".qcow2",
			"amend -o "+c.options)
		if status != 2 || !strings.Contains(said, c.says) {
			t.Errorf("%s, %s: %d, %s", c.image, c.options, status, said)
		}
		if contents(t, c.image+".qcow2") != before {
			t.Errorf("%s, %s: the image was changed", c.image, c.options)
		}
	}
}
