package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// masterKey is the key of a LUKS image that phrase opens, as cryptsetup tells it.
func masterKey(t *testing.T, image string) []byte {
	t.Helper()
	cryptsetup, err := exec.LookPath("cryptsetup")
	if err != nil {
		without(t, "cryptsetup-bin")
	}
	cmd := exec.Command(cryptsetup, "luksDump", "--dump-master-key", "--batch-mode",
		"--key-file", "-", image)
	cmd.Stdin = strings.NewReader(phrase)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, dump, _ := strings.Cut(string(out), "MK dump:")
	key, err := hex.DecodeString(strings.Join(strings.Fields(dump), ""))
	if err != nil || len(key) != 64 {
		t.Fatalf("%q: %v", out, err)
	}
	return key
}

// spellings are the ways in which text may have a secret.
func spellings(secret []byte) []string {
	return []string{
		string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
		strings.TrimRight(base64.StdEncoding.EncodeToString(secret), "="),
	}
}

// TestSecretsAreNotTold searches all that is said of encrypted images, traced, as JSON and where it
// fails, for what opens them. They are right by what QEMU reads of one.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	dir := encrypted(t)
	key := masterKey(t, filepath.Join(dir, "sealed.luks"))
	var secrets []string
	for _, s := range [][]byte{[]byte(phrase), []byte(newPhrase), key, key[:32], key[32:]} {
		secrets = append(secrets, spellings(s)...)
	}
	const opened = "driver=luks,file.filename=sealed.luks,key-secret="
	for _, c := range []struct {
		status string
		args   []string
	}{
		{"exit 0", []string{
			"--image-opts", opened + "s", "-c", "info", "-c", "luks slots",
			"-c", "luks add -t 1 -s new", "-c", "luks remove -s new", "-c", "read -v 0 4k",
			"-c", "write -P 7 0 64k", "-c", "map",
			"-c", "copy -f luks -o key-secret=new,iter-time=1 other.luks",
			"-c", "copy -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1 a.qcow2",
		}},
		{"exit 0", []string{"-c", "create --force -f qcow2 -b sealed.luks -F luks over.qcow2"}},
		{"exit 3", []string{"--image-opts", opened + "new", "-c", "info"}},
		{"exit 3", []string{"--image-opts", opened + "none", "-c", "info"}},
		{"exit 0", []string{"sealed.luks", "info"}}, // that needs no key
		{"exit 3", []string{"sealed.luks", "read", "0", "512"}},
		{"exit 2", []string{"--object", "secret,id=bad,format=base64,data=" + phrase, "info"}},
		{"exit 2", []string{"--object", "secret,id=bad,nonsense=1,data=" + phrase, "info"}},
		{"exit 2", []string{"--object", "secret,id=s,data=" + phrase, "info"}}, // s is there
	} {
		for _, json := range []bool{false, true} {
			args := []string{
				"-T", "*", "--object", "secret,id=s,data=" + phrase, "--object",
				"secret,id=new,data=" + newPhrase,
			}
			if json {
				args = append(args, "--json")
			}
			a, err := asBlksh.run(run{dir: dir, args: append(args, c.args...)})
			if err != nil {
				t.Fatal(err)
			}
			if a.status != c.status {
				t.Errorf("%q: %s, want %s; stderr: %q", c.args, a.status, c.status, a.stderr)
			}
			for _, secret := range secrets {
				if strings.Contains(a.stdout+a.stderr, secret) {
					t.Errorf("%q tells %q", args, secret)
				}
			}
			copiedSealed(t, dir)
		}
	}
}

// copiedSealed looks whether the copies are what was copied, and removes them.
func copiedSealed(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "other.luks")); err != nil {
		return
	}
	object := []string{
		"compare", "--object", "secret,id=s,data=" + phrase, "--object",
		"secret,id=new,data=" + newPhrase, "--image-opts",
		"driver=luks,file.filename=sealed.luks,key-secret=s",
	}
	for _, other := range []string{
		"driver=luks,file.filename=other.luks,key-secret=new",
		"driver=qcow2,file.filename=a.qcow2,encrypt.key-secret=s",
	} {
		cmd := exec.Command("qemu-img", append(object[:len(object):len(object)], other)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", other, err, out)
		}
	}
	for _, name := range []string{"other.luks", "a.qcow2"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || bytes.Contains(b, []byte(phrase)) {
			t.Errorf("%s: %v, or it has the passphrase", name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
