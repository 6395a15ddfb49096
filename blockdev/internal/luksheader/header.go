package luksheader

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// Store is where a header is kept, from its first byte on. Reading beyond the end gives zeroes.
type Store interface {
	ReadAt(ctx context.Context, p []byte, off int64) error
	WriteAt(ctx context.Context, p []byte, off int64) error
	Flush(ctx context.Context) error
}

// Header is a header that was read and checked. Its methods may not run at the same time.
type Header interface {
	// Version is 1 or 2.
	Version() int
	UUID() string
	Payload() Payload
	// Digest is how the volume key is checked.
	Digest() KDF
	// Slots are all that there can be, free ones too, by number.
	Slots() []Slot
	// Unlock finds the volume key by a passphrase, in the one slot given or, if that is below 0, in
	// the first of those that it opens. ErrPassphrase says that none does.
	Unlock(ctx context.Context, passphrase []byte, only int, l Limits) (key []byte, slot int,
		err error)
	// SetSlot keeps the volume key in a free slot, for one more passphrase.
	SetSlot(ctx context.Context, slot int, key, passphrase []byte, c Cost) error
	// ClearSlot frees a slot and overwrites its material. That another slot is left is up to the
	// caller to see.
	ClearSlot(ctx context.Context, slot int) error
}

// Payload is the encrypted disk itself.
type Payload struct {
	Spec   sectorcipher.Spec
	KeyLen int    // in bytes
	Off    int64  // in the file that holds it, in bytes
	Size   int64  // in bytes, -1 for all there is
	Unit   int    // bytes that are encrypted together
	Sector uint64 // the number of its first sector for the IVs, in 512 bytes
}

// base is what headers of both versions have.
type base struct {
	store       Store
	detached    bool
	payload     Payload
	digest      KDF
	digestValue []byte
	slots       []Slot
}

func (h *base) Payload() Payload { return h.payload }
func (h *base) Digest() KDF      { return h.digest }
func (h *base) Slots() []Slot    { return h.slots }

// order is that in which slots are tried: by priority, then by number. Those of priority 0 are only
// tried when they are named.
func (h *base) order(only int) (order []int) {
	for i, s := range h.slots {
		if s.Active && (only == i || only < 0 && s.priority > 0) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order,
		func(a, b int) int { return cmp.Compare(h.slots[b].priority, h.slots[a].priority) })
	return order
}

// tryKey is the volume key if the passphrase is that of slot i, otherwise nil.
func (h *base) tryKey(ctx context.Context, i int, passphrase []byte, l Limits) ([]byte, error) {
	key, err := h.slots[i].open(ctx, h.store, h.payload.KeyLen, passphrase, l)
	if err != nil {
		return nil, err
	}
	digest, err := h.digest.derive(ctx, key, len(h.digestValue), l)
	if err == nil && subtle.ConstantTimeCompare(digest, h.digestValue) == 1 {
		return key, nil
	}
	clear(key)
	return nil, err
}

// Limits bound what unlocking may cost.
type Limits struct {
	Memory int64         // bytes that an Argon2 may take
	Time   time.Duration // for all slots; 0 is no bound
}

// unlock is Unlock of a header within the bounds of l.
func (l Limits) unlock(ctx context.Context, h Header, passphrase []byte, only int) (
	key []byte, slot int, err error,
) {
	if l.Time <= 0 {
		return h.Unlock(ctx, passphrase, only, l)
	}
	long := driver.RefuseAs(syscall.ETIMEDOUT, "Looking for the key takes longer than %v; "+
		"the option unlock-time allows more seconds", l.Time)
	ctx, cancel := context.WithTimeoutCause(ctx, l.Time, long)
	defer cancel()
	key, slot, err = h.Unlock(ctx, passphrase, only, l)
	if err != nil && context.Cause(ctx) == long {
		err = long
	}
	return key, slot, err
}

// Errors of passphrases and slots. The words are QEMU's.
var (
	ErrPassphrase error = &driver.Refusal{
		Text: "Invalid password, cannot unlock any keyslot",
		Err:  syscall.EINVAL,
	}
	ErrNoSlot error = &driver.Refusal{
		Text: "Can't add a keyslot - all keyslots are in use",
		Err:  syscall.ENOSPC,
	}
)

// FormatError says what is wrong with a header.
type FormatError struct{ text string }

func (e *FormatError) Error() string { return e.text }

func refuse(text string, args ...any) error { return &FormatError{fmt.Sprintf(text, args...)} }

// invalid says what is wrong with what was asked for.
func invalid(text string, args ...any) error {
	return driver.RefuseAs(syscall.EINVAL, text, args...)
}

// MagicLen is how much of a file Probe wants to see.
const MagicLen = 8

// Probe is the version of the header that head begins with, 0 if it is none.
func Probe(head []byte) int {
	if len(head) < MagicLen || string(head[:len(magic)]) != magic {
		return 0
	}
	return int(binary.BigEndian.Uint16(head[len(magic):]))
}

const magic = "LUKS\xba\xbe"

// Read reads the header that a store holds. A detached one describes a payload in another file.
func Read(ctx context.Context, s Store, detached bool) (Header, error) {
	return read(ctx, s, detached, maxVersion)
}

// ReadLikeQEMU reads a header of version 1, the only one that QEMU knows.
func ReadLikeQEMU(ctx context.Context, s Store) (Header, error) { return read(ctx, s, false, 1) }

const maxVersion = 2

func read(ctx context.Context, s Store, detached bool, newest int) (Header, error) {
	head := make([]byte, MagicLen)
	if err := readHeader(ctx, s, head, 0); err != nil {
		return nil, err
	}
	switch v := Probe(head); {
	case v == 0 && newest > 1:
		return readSecond(ctx, s, detached)
	case v == 0:
		return nil, errCopy
	case v == 1:
		return read1(ctx, s, detached)
	case v > newest:
		return nil, refuse("LUKS version %d is not supported", v)
	}
	return read2(ctx, s, detached)
}

func readHeader(ctx context.Context, s Store, p []byte, off int64) error {
	if err := s.ReadAt(ctx, p, off); err != nil {
		return driver.Refuse("Unable to read LUKS header: %w", err)
	}
	return nil
}

// FreeSlot is the first slot that holds no key.
func FreeSlot(h Header) (int, error) {
	for i, s := range h.Slots() {
		if !s.Active {
			return i, nil
		}
	}
	return 0, ErrNoSlot
}

// Active counts the slots that hold the key.
func Active(h Header) (n int) {
	for _, s := range h.Slots() {
		if s.Active {
			n++
		}
	}
	return n
}

// newUUID is a random one (version 4) as text.
func newUUID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// random is n bytes that nobody can guess.
func random(n int) []byte {
	p := make([]byte, n)
	rand.Read(p)
	return p
}
