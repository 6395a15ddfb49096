package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// What TestSecrets encrypts with, as openssl enc -aes-256-cbc did it.
const (
	masterKey = "secret,id=m,format=base64,data=a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
	keyed     = "secret,id=s,keyid=m,format=base64,data=DaL72vYCQnuc2cSNu/M3lw=="
	rightIV   = ",iv=aWlpaWlpaWlpaWlpaWlpaQ=="
)

// TestSecrets: the secrets and words are those of qemu-io 7.2.22.
func TestSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		objects []string
		want    string // the secret s, or an error behind "!"
	}{
		{[]string{"secret,id=s,data=plain"}, "plain"},
		{[]string{"secret,id=s,file=" + file}, "from a file\n"},
		{[]string{`{"qom-type":"secret","id":"s","data":"x"}`}, "x"},
		{[]string{"secret,id=s,format=base64,data=YWJj\nZGVm"}, "abcdef"},
		{[]string{"secret,id=s,format=base64,data=YWJjZ"}, "abc"},
		{[]string{"secret,id=s,format=base64,data=Y!Jj"}, "!Base64 data contains invalid characters"},
		{[]string{masterKey, keyed + rightIV}, "open sesame"},
		{[]string{masterKey, "secret,id=s,keyid=m,data=" + rightIV}, ""},
		{[]string{keyed + rightIV}, "!No secret with id 'm'"},
		{[]string{masterKey, keyed}, "!IV is required to decrypt secret"},
		{[]string{masterKey, keyed + ",iv=aaaa"}, "!IV should be 16 bytes in length not 3"},
		{[]string{"secret,id=m,data=short", keyed + rightIV}, "!Key should be 32 bytes in length"},
		{[]string{masterKey, "secret,id=s,keyid=m,data=abc" + rightIV}, "!Length 3 must be a multiple of block size 16"},
		{
			[]string{masterKey, "secret,id=s,keyid=m,format=base64,data=AAAAAAAAAAAAAAAAAAAAAA==" + rightIV},
			"!Incorrect number of padding bytes (24) found on decrypted data",
		},
		{[]string{"tls-creds-x509,id=s,dir=/,passwordid=m"}, "!No secret with id 'm'"},
		{
			[]string{"tls-creds-anon,id=m", "tls-creds-x509,id=s,dir=/,passwordid=m"},
			"!Object with id 'm' is not a secret",
		},
		{[]string{"secret,id=s"}, "!Either 'file' or 'data' must be provided"},
		{[]string{"secret,id=s,data=a,file=b"}, "!'file' and 'data' are mutually exclusive"},
		{[]string{"secret,id=s,file=/nosuch"}, "!Unable to read /nosuch: Failed to open file “/nosuch”: No such file or directory"},
		{[]string{"secret,id=s,data=x,foo=1"}, "!Parameter 'foo' is unexpected"},
		{[]string{"secret,id=s,data=x,format=foo"}, "!Parameter 'format' does not accept value 'foo'"},
	} {
		p := &program{options: options{objects: map[string]any{}}}
		var err error
		for _, o := range c.objects {
			opts, failed := objectOptions(o)
			if failed == nil {
				failed = p.makeObject(opts)
			}
			if err == nil {
				err = failed
			}
		}
		want, refused := strings.CutPrefix(c.want, "!")
		switch s, _ := p.options.objects["s"].(driver.Secret); {
		case refused && (err == nil || err.Error() != want):
			t.Errorf("%q: %v, want %s", c.objects, err, want)
		case !refused && (err != nil || !bytes.Equal(s, []byte(want))):
			t.Errorf("%q: %q, %v, want %q", c.objects, []byte(s), err, want)
		}
	}
}
