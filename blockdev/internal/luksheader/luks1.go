package luksheader

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// The layout of version 1, in bytes. All numbers are big-endian, and places are in sectors.
const (
	header1Len  = 592
	slots1      = 8
	slotsOff1   = 208
	slotLen1    = 48
	nameLen1    = 32
	digestLen1  = 20
	saltLen     = 32
	uuidLen1    = 40
	sectorLen   = 512
	slotAlign   = 8 * sectorLen
	slotOn      = 0x00ac71f3
	slotOff     = 0x0000dead
	firstSlot   = slotAlign // where the material of the first slot of a new header is
	slotSaltOff = 8         // in a slot
)

// Where the fields of version 1 are.
const (
	off1Version    = 6
	off1Cipher     = 8
	off1Mode       = 40
	off1Hash       = 72
	off1Payload    = 104
	off1KeyLen     = 108
	off1Digest     = 112
	off1DigestSalt = 132
	off1DigestIter = 164
	off1UUID       = 168
)

// header1 is a header of version 1.
type header1 struct {
	store    Store
	raw      [header1Len]byte
	detached bool

	payload Payload
	hash    string
	digest  KDF
	slots   [slots1]Slot
}

var _ Header = (*header1)(nil)

func (h *header1) Version() int     { return 1 }
func (h *header1) UUID() string     { return text(h.raw[off1UUID : off1UUID+uuidLen1]) }
func (h *header1) Payload() Payload { return h.payload }
func (h *header1) Digest() KDF      { return h.digest }
func (h *header1) Slots() []Slot    { return h.slots[:] }

func (h *header1) word(off int) uint32 { return binary.BigEndian.Uint32(h.raw[off:]) }

func (h *header1) slot(i int) []byte { return h.raw[slotsOff1+i*slotLen1:][:slotLen1] }

// text is what a field holds up to its first zero.
func text(field []byte) string {
	if i := bytes.IndexByte(field, 0); i >= 0 {
		field = field[:i]
	}
	return string(field)
}

func read1(ctx context.Context, s Store, detached bool) (*header1, error) {
	h := &header1{store: s, detached: detached}
	if err := s.ReadAt(ctx, h.raw[:], 0); err != nil {
		return nil, driver.Refuse("Unable to read LUKS header: %w", err)
	}
	if err := h.parse(); err != nil {
		return nil, err
	}
	return h, h.check()
}

// parse takes the fields out of raw. Names must end within their fields.
func (h *header1) parse() error {
	for _, f := range []struct {
		off  int
		name string
	}{{off1Cipher, "cipher name"}, {off1Mode, "cipher mode"}, {off1Hash, "hash spec"}} {
		if bytes.IndexByte(h.raw[f.off:f.off+nameLen1], 0) < 0 {
			return refuse("LUKS header %s is not NUL terminated", f.name)
		}
	}
	h.hash = text(h.raw[off1Hash : off1Hash+nameLen1])
	h.payload = Payload{
		Spec: sectorcipher.ParseSpec(text(h.raw[off1Cipher:off1Mode]),
			text(h.raw[off1Mode:off1Hash])),
		KeyLen: int(h.word(off1KeyLen)),
		Off:    int64(h.word(off1Payload)) * sectorLen,
		Size:   -1,
		Unit:   sectorLen,
	}
	h.digest = KDF{
		Type: PBKDF2, Hash: h.hash, Iterations: h.word(off1DigestIter),
		Salt: h.raw[off1DigestSalt:][:saltLen],
	}
	for i := range h.slots {
		b := h.slot(i)
		h.slots[i] = Slot{
			Active: binary.BigEndian.Uint32(b) == slotOn,
			KDF: KDF{
				Type: PBKDF2, Hash: h.hash, Iterations: binary.BigEndian.Uint32(b[4:]),
				Salt: b[slotSaltOff:][:saltLen],
			},
			Off:     int64(binary.BigEndian.Uint32(b[40:])) * sectorLen,
			Len:     materialLen(int64(h.payload.KeyLen)),
			Stripes: int(binary.BigEndian.Uint32(b[44:])),
		}
	}
	return nil
}

// materialLen is the room that the material of a key of n bytes takes, in bytes.
func materialLen(n int64) int64 { return (n*stripes + sectorLen - 1) &^ (sectorLen - 1) }

// check refuses what cannot be right, in QEMU's words and order.
func (h *header1) check() error {
	switch {
	case !h.detached && h.payload.Off < firstSlot:
		return refuse("LUKS payload is overlapping with the header")
	case h.digest.Iterations == 0:
		return refuse("LUKS key iteration count is zero")
	}
	for i := range h.slots {
		if err := h.checkSlot(i); err != nil {
			return err
		}
	}
	if err := h.payload.Spec.Check(h.payload.KeyLen); err != nil {
		return err
	}
	_, err := sectorcipher.Hash(h.hash)
	return err
}

func (h *header1) checkSlot(i int) error {
	s, state := h.slots[i], binary.BigEndian.Uint32(h.slot(i))
	switch {
	case s.Stripes != stripes:
		return refuse("Keyslot %d is corrupted (stripes %d != %d)", i, s.Stripes, stripes)
	case s.Off < firstSlot:
		return refuse("Keyslot %d is overlapping with the LUKS header", i)
	case state != slotOn && state != slotOff:
		return refuse("Keyslot %d state (active/disable) is corrupted", i)
	case s.Active && s.KDF.Iterations == 0:
		return refuse("Keyslot %d iteration count is zero", i)
	case !(h.detached && h.payload.Off == 0) && s.Off+s.Len > h.payload.Off:
		return refuse("Keyslot %d is overlapping with the encrypted payload", i)
	}
	for j := i + 1; j < slots1; j++ {
		other := h.slots[j]
		if s.Off < other.Off+other.Len && other.Off < s.Off+s.Len {
			return refuse("Keyslots %d and %d are overlapping in the header", i, j)
		}
	}
	return nil
}

func (h *header1) Unlock(ctx context.Context, passphrase []byte, only int,
	l Limits,
) ([]byte, int, error) {
	for i, s := range h.slots {
		if !s.Active || only >= 0 && only != i {
			continue
		}
		key, err := h.tryKey(ctx, s, passphrase, l)
		if key != nil || err != nil {
			return key, i, err
		}
	}
	return nil, 0, ErrPassphrase
}

// tryKey is the volume key if the passphrase is that of the slot, otherwise nil.
func (h *header1) tryKey(ctx context.Context, s Slot, passphrase []byte, l Limits) ([]byte, error) {
	a := area{Off: s.Off, Spec: h.payload.Spec, KeyLen: h.payload.KeyLen}
	key, err := a.open(ctx, h.store, s.KDF, h.hash, h.payload.KeyLen, passphrase, l)
	if err != nil {
		return nil, err
	}
	digest, err := h.digest.derive(ctx, key, digestLen1, l)
	if err == nil && subtle.ConstantTimeCompare(digest, h.raw[off1Digest:][:digestLen1]) == 1 {
		return key, nil
	}
	clear(key)
	return nil, err
}

// SetSlot writes the material, then all that the header says of the slot but its state, then that:
// each on stable storage before the next. The header is two sectors, of which a crash may leave one
// old and one new.
func (h *header1) SetSlot(ctx context.Context, i int, key, passphrase []byte, c Cost) error {
	c.Type, c.Hash = PBKDF2, h.hash
	kdf, err := c.choose(ctx, len(key))
	if err != nil {
		return err
	}
	a := area{Off: h.slots[i].Off, Spec: h.payload.Spec, KeyLen: h.payload.KeyLen}
	if err := a.seal(ctx, h.store, kdf, h.hash, key, passphrase); err != nil {
		return err
	}
	err = h.change(ctx, func() {
		b := h.slot(i)
		binary.BigEndian.PutUint32(b[4:], kdf.Iterations)
		copy(b[slotSaltOff:], kdf.Salt)
	})
	if err != nil {
		return err
	}
	return h.setState(ctx, i, slotOn)
}

// ClearSlot takes the slot out of the header and overwrites its material. If the header cannot be
// written, the material is overwritten all the same: the passphrase shall be of no more use.
func (h *header1) ClearSlot(ctx context.Context, i int) error {
	err := h.setState(ctx, i, slotOff)
	if wiped := wipe(ctx, h.store, h.slots[i].Off, h.slots[i].Len); err == nil {
		err = wiped
	}
	if err != nil {
		return err
	}
	return h.change(ctx, func() { clear(h.slot(i)[4 : slotSaltOff+saltLen]) })
}

func (h *header1) setState(ctx context.Context, i int, state uint32) error {
	return h.change(ctx, func() { binary.BigEndian.PutUint32(h.slot(i), state) })
}

// change puts the header on stable storage with what edit does to its bytes, and reads its fields
// anew. What fails is as if it had not been tried.
func (h *header1) change(ctx context.Context, edit func()) error {
	old := h.raw
	edit()
	err := h.store.WriteAt(ctx, h.raw[:], 0)
	if err == nil {
		err = h.store.Flush(ctx)
	}
	if err != nil {
		h.raw = old
		return driver.Refuse("Unable to write LUKS header: %w", err)
	}
	return h.parse()
}
