package luksheader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// memory is a store that remembers what was written since it was last flushed.
type memory struct {
	data   []byte
	writes []memoryWrite // nil where it was flushed
	fail   int           // which write fails, counted from 1; 0 none
}

type memoryWrite struct {
	off  int64
	data []byte
}

func (m *memory) ReadAt(_ context.Context, p []byte, off int64) error {
	clear(p)
	if off < int64(len(m.data)) {
		copy(p, m.data[off:])
	}
	return nil
}

func (m *memory) WriteAt(_ context.Context, p []byte, off int64) error {
	if m.fail > 0 {
		if m.fail--; m.fail == 0 {
			return errors.New("planted")
		}
	}
	m.writes = append(m.writes, memoryWrite{off, bytes.Clone(p)})
	m.put(p, off)
	return nil
}

func (m *memory) put(p []byte, off int64) {
	if need := off + int64(len(p)); need > int64(len(m.data)) {
		m.data = append(m.data, make([]byte, need-int64(len(m.data)))...)
	}
	copy(m.data[off:], p)
}

func (m *memory) Flush(context.Context) error {
	m.writes = append(m.writes, memoryWrite{})
	return nil
}

// quick is the least work that there may be.
var quick = Cost{Hash: "sha256", Time: time.Millisecond, Memory: minMemory}

func config(version int, spec, hash string, keyLen int, kdf string) Config {
	cost := quick
	cost.Type, cost.Hash = kdf, hash
	return Config{
		Version: version, Spec: sectorcipher.SplitSpec(spec), KeyLen: keyLen, Hash: hash,
		Unit: sectorLen,
		Cost: cost, Passphrase: []byte("first"),
	}
}

// variants are headers of each kind.
func variants() map[string]Config {
	v := map[string]Config{}
	for _, c := range []Config{
		config(1, "aes-xts-plain64", "sha256", 64, ""),
		config(1, "aes-cbc-essiv:sha256", "sha1", 32, ""),
		config(1, "aes-cbc-plain64", "sha512", 24, ""), // whose material ends within a sector
		config(1, "serpent-xts-plain64", "sha512", 64, ""),
		config(1, "twofish-cbc-plain", "ripemd160", 32, ""),
		config(1, "serpent-cbc-essiv:sha256", "whirlpool", 16, ""),
		config(2, "aes-xts-plain64", "sha256", 64, Argon2id),
		config(2, "aes-xts-plain64", "sha256", 32, Argon2i),
		config(2, "serpent-xts-plain64", "sha512", 64, PBKDF2),
		config(2, "twofish-xts-plain64", "sha512", 32, PBKDF2),
	} {
		kdf := c.Cost.Type
		v[fmt.Sprintf("%d %v %d %s %s", c.Version, c.Spec, c.KeyLen, c.Hash, kdf)] = c
	}
	return v
}

func create(t testing.TB, c Config) (*memory, Header, []byte) {
	t.Helper()
	m := &memory{}
	h, key, err := Create(context.Background(), m, c)
	if err != nil {
		t.Fatal(err)
	}
	return m, h, key
}

func reread(t testing.TB, m *memory) Header {
	t.Helper()
	h, err := Read(context.Background(), m, false)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// unlocks says whether a passphrase gives the key.
func unlocks(t testing.TB, h Header, passphrase string, key []byte) bool {
	t.Helper()
	got, _, err := h.Unlock(context.Background(), []byte(passphrase), -1, Limits{})
	if err != nil && err != ErrPassphrase {
		t.Fatalf("unlock by %q: %v", passphrase, err)
	}
	return err == nil && bytes.Equal(got, key)
}

// TestSlots fills all slots, and empties them again.
func TestSlots(t *testing.T) {
	ctx := context.Background()
	for name, c := range variants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, h, key := create(t, c)
			for {
				i, err := FreeSlot(h)
				if err == nil && i < 4 {
					err = h.SetSlot(ctx, i, key, fmt.Appendf(nil, "number %d", i), c.Cost)
				}
				if err != nil || i == 4 {
					break
				}
			}
			h = reread(t, m)
			if n := Active(h); n != 4 {
				t.Fatalf("%d slots are taken", n)
			}
			for i := range 3 {
				if !unlocks(t, h, fmt.Sprintf("number %d", i+1), key) {
					t.Errorf("slot %d does not open", i+1)
				}
			}
			if unlocks(t, h, "number 9", key) {
				t.Error("opened by a wrong passphrase")
			}
			material := h.Slots()[2]
			before := bytes.Clone(m.data[material.Off:][:material.Len])
			if err := h.ClearSlot(ctx, 2); err != nil {
				t.Fatal(err)
			}
			for at := 0; at < len(before); at += 64 {
				if bytes.Equal(before[at:at+64], m.data[material.Off+int64(at):][:64]) {
					t.Fatalf("material is still there at %d", at)
				}
			}
			h = reread(t, m)
			if unlocks(t, h, "number 2", key) || !unlocks(t, h, "first", key) ||
				!unlocks(t, h, "number 3", key) {
				t.Error("other slots open than should")
			}
		})
	}
}

// run runs a program with what it reads from standard input.
func run(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCryptsetupOpensOurs has cryptsetup try the passphrases of our headers, and change them.
func TestCryptsetupOpensOurs(t *testing.T) {
	blockdevtest.Peer(t, "cryptsetup", "cryptsetup-bin")
	ctx := context.Background()
	for name, c := range variants() {
		t.Run(name, func(t *testing.T) {
			m, h, key := create(t, c)
			if err := h.SetSlot(ctx, 5, key, []byte("second"), c.Cost); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "disk")
			m.put(make([]byte, 1<<20), c.PayloadOff())
			if err := os.WriteFile(path, m.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := run(t, "", "cryptsetup", "luksDump", path); err != nil {
				t.Fatalf("luksDump: %s", out)
			}
			for passphrase, right := range map[string]bool{
				"first": true, "second": true,
				"third": false,
			} {
				checkOpens(t, path, passphrase, right)
			}
		})
	}
}

// checkOpens has cryptsetup try a passphrase.
func checkOpens(t *testing.T, path, passphrase string, right bool) {
	t.Helper()
	out, err := run(t, passphrase, "cryptsetup", "open", "--test-passphrase", "--key-file", "-",
		path)
	if err != nil {
		skipKernel(t, out)
	}
	if (err == nil) != right {
		t.Errorf("open with %q: %s, %v", passphrase, out, err)
	}
}

// skipKernel skips where cryptsetup has a cipher from the kernel only, and the kernel has it not.
func skipKernel(t *testing.T, out string) {
	t.Helper()
	if strings.Contains(out, "dm_mod") || strings.Contains(out, "Cannot use") {
		t.Skip("needs a kernel with device-mapper or this cipher")
	}
}

// TestOursOpensCryptsetup reads what cryptsetup makes.
func TestOursOpensCryptsetup(t *testing.T) {
	blockdevtest.Peer(t, "cryptsetup", "cryptsetup-bin")
	for _, args := range []string{
		"--type luks1 --hash sha1 --cipher aes-cbc-essiv:sha256 --key-size 256",
		"--type luks1 --hash sha512 --cipher serpent-xts-plain64 --key-size 512",
		"--type luks1 --hash ripemd160 --cipher twofish-cbc-plain64 --key-size 128",
		"--type luks1 --hash whirlpool --cipher aes-xts-plain64 --key-size 512",
		"--type luks1 --hash sha3-512 --cipher aes-cbc-plain64be --key-size 256",
		"--type luks1 --hash blake2b-512 --cipher aes-cbc-benbi --key-size 256",
		"--type luks2 --pbkdf pbkdf2 --hash sha256",
		"--type luks2 --pbkdf argon2i --pbkdf-memory 32768 --pbkdf-parallel 1",
		"--type luks2 --pbkdf argon2id --pbkdf-memory 65536 --pbkdf-parallel 4 --sector-size 4096",
		"--type luks2 --pbkdf pbkdf2 --cipher serpent-xts-plain64 --luks2-metadata-size 65536",
	} {
		t.Run(args, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(path, make([]byte, 20<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			rounds := "1000"
			if strings.Contains(args, "argon2") {
				rounds = "4"
			}
			words := append(
				[]string{
					"cryptsetup", "luksFormat", "-q", "--key-file", "-",
					"--pbkdf-force-iterations", rounds,
				}, strings.Fields(args)...)
			if out, err := run(t, "first", append(words, path)...); err != nil {
				skipKernel(t, out)
				t.Fatalf("luksFormat: %s", out)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m := &memory{data: data}
			h := reread(t, m)
			key, slot, err := h.Unlock(context.Background(), []byte("first"), -1,
				Limits{Memory: 1 << 30})
			if err != nil || slot != 0 {
				t.Fatalf("slot %d, %v", slot, err)
			}
			c := quick
			if h.Version() == 2 {
				c.Type = Argon2id
			}
			if err := h.SetSlot(context.Background(), 3, key, []byte("second"), c); err != nil {
				t.Fatal(err)
			}
			if err := h.ClearSlot(context.Background(), 0); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, m.data, 0o600); err != nil {
				t.Fatal(err)
			}
			for passphrase, right := range map[string]bool{"first": false, "second": true} {
				checkOpens(t, path, passphrase, right)
			}
		})
	}
}
