package commands_test

import (
	"strings"
	"testing"
)

// TestLocked: what the header of an encrypted image tells needs no key, and all else fails as the
// open would have, changing nothing.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	withSecrets(t, dir, "create -f qcow2 -o encrypt.format=aes,encrypt.key-secret=a aes 1M",
		"create -f qcow2 -o encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=1 luks 1M",
		"create -f luks -o key-secret=a,iter-time=1 plain 1M")
	for _, c := range []struct {
		image, command string
		status         int
		says           string
	}{
		{"aes", "info", 0, "format: aes"},
		{"luks", "info", 0, "active: true"},
		{"plain", "info", 0, "active: true"},
		{"luks", "luks slots", 0, "slot 0: pbkdf2-sha256"},
		{"plain", "luks slots", 0, "slot 0: pbkdf2-sha256"},
		{"aes", "length", 0, "1 MiB"},
		{"luks", "snapshot list", 0, "no snapshots"},
		{"aes", "bitmap list", 0, ""},
		{"luks", "check", 0, "no errors"},
		{"aes", "check", 0, "no errors"},
		{"luks", "close", 0, ""},
		{"aes", "read 0 512", 3, "encrypt.key-secret=ID"},
		{"luks", "read 0 512", 3, "encrypt.key-secret=ID"},
		{"plain", "read 0 512", 3, " key-secret=ID"},
		{"luks", "write 0 512", 3, "encrypt.key-secret=ID"},
		{"luks", "map", 3, "encrypt.key-secret=ID"},
		{"luks", "check -r all", 3, "encrypt.key-secret=ID"},
		{"luks", "luks remove -n 0", 3, "encrypt.key-secret=ID"},
		{"luks", "luks add -s b", 3, "encrypt.key-secret=ID"},
		{"luks", "snapshot create s", 3, "encrypt.key-secret=ID"},
		{"luks", "bitmap add b", 3, "encrypt.key-secret=ID"},
		{"luks", "truncate 2M", 3, "encrypt.key-secret=ID"},
		{"luks", "reopen -w", 3, "encrypt.key-secret=ID"},
		{"luks", "amend -o lazy_refcounts=on", 3, "encrypt.key-secret=ID"},
		{"luks", "help info", 3, "encrypt.key-secret=ID"}, // it was named, and nothing went to it
	} {
		before := contents(t, c.image)
		said, status := withSecrets(t, dir, "open "+c.image, c.command)
		if status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s, %s: %d, want %d: %s", c.image, c.command, status, c.status, said)
		}
		if contents(t, c.image) != before {
			t.Errorf("%s, %s: the image was changed", c.image, c.command)
		}
	}
}
