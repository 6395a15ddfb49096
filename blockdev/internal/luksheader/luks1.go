package luksheader

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// The layout of version 1, in bytes.
const (
	header1Len = 592
	slots1     = 8
	digestLen1 = 20
	saltLen    = 32
	sectorLen  = 512
	slotAlign  = 8 * sectorLen
	slotOn     = 0x00ac71f3
	slotOff    = 0x0000dead
	firstSlot  = slotAlign // where the material of the first slot of a new header is
)

// fields1 are the fields of version 1 as they are stored. All numbers are big-endian, places are in
// sectors, and texts end at a zero.
type fields1 struct {
	Magic              [6]byte
	Version            uint16
	Cipher, Mode, Hash [32]byte
	Payload, KeyLen    uint32
	Digest             [digestLen1]byte
	DigestSalt         [saltLen]byte
	DigestIterations   uint32
	UUID               [40]byte
	Slots              [slots1]struct {
		State, Iterations uint32
		Salt              [saltLen]byte
		Off, Stripes      uint32
	}
}

// header1 is a header of version 1.
type header1 struct {
	base
	raw fields1
}

var _ Header = (*header1)(nil)

func (h *header1) Version() int { return 1 }
func (h *header1) UUID() string { return text(h.raw.UUID[:]) }

// text is what a field holds up to its first zero.
func text(field []byte) string {
	field, _, _ = bytes.Cut(field, []byte{0})
	return string(field)
}

func read1(ctx context.Context, s Store, detached bool) (*header1, error) {
	h := &header1{base: base{store: s, detached: detached}}
	b := make([]byte, header1Len)
	err := readHeader(ctx, s, b, 0)
	if err == nil {
		_, err = binary.Decode(b, binary.BigEndian, &h.raw)
	}
	if err == nil {
		err = h.parse()
	}
	if err != nil {
		return nil, err
	}
	return h, h.check()
}

// parse takes the fields out of raw. Names must end within their fields.
func (h *header1) parse() error {
	r := &h.raw
	for _, f := range []struct {
		field []byte
		name  string
	}{{r.Cipher[:], "cipher name"}, {r.Mode[:], "cipher mode"}, {r.Hash[:], "hash spec"}} {
		if bytes.IndexByte(f.field, 0) < 0 {
			return refuse("LUKS header %s is not NUL terminated", f.name)
		}
	}
	hash := text(r.Hash[:])
	h.payload = Payload{
		Spec:   sectorcipher.ParseSpec(text(r.Cipher[:]), text(r.Mode[:])),
		KeyLen: int(r.KeyLen), Off: int64(r.Payload) * sectorLen, Size: -1, Unit: sectorLen,
	}
	h.digestValue = r.Digest[:]
	h.digest = KDF{
		Type: PBKDF2, Hash: hash, Iterations: r.DigestIterations, Salt: r.DigestSalt[:],
	}
	h.slots = make([]Slot, slots1)
	for i := range h.slots {
		s := &r.Slots[i]
		h.slots[i] = Slot{
			Active: s.State == slotOn,
			KDF:    KDF{Type: PBKDF2, Hash: hash, Iterations: s.Iterations, Salt: s.Salt[:]},
			Off:    int64(s.Off) * sectorLen, Len: materialLen(h.payload.KeyLen),
			Stripes: int(s.Stripes),
			spec:    h.payload.Spec, keyLen: h.payload.KeyLen, split: hash, priority: 1,
		}
	}
	return nil
}

// materialLen is the room that the material of a key of n bytes takes, in bytes.
func materialLen(n int) int64 { return driver.RoundUp(int64(n)*stripes, sectorLen) }

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
	_, err := sectorcipher.Hash(h.digest.Hash)
	return err
}

func (h *header1) checkSlot(i int) error {
	s, state := h.slots[i], h.raw.Slots[i].State
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
		if s.overlaps(h.slots[j]) {
			return refuse("Keyslots %d and %d are overlapping in the header", i, j)
		}
	}
	return nil
}

// Unlock fails with the first slot that cannot be tried.
func (h *header1) Unlock(ctx context.Context, passphrase []byte, only int,
	l Limits,
) ([]byte, int, error) {
	for _, i := range h.order(only) {
		key, err := h.tryKey(ctx, i, passphrase, l)
		if key != nil || err != nil {
			return key, i, err
		}
	}
	return nil, 0, ErrPassphrase
}

// SetSlot writes the material, then all that the header says of the slot but its state, then that:
// each on stable storage before the next. The header is two sectors, of which a crash may leave one
// old and one new.
func (h *header1) SetSlot(ctx context.Context, i int, key, passphrase []byte, c Cost) error {
	c.Type, c.Hash = PBKDF2, h.digest.Hash
	s := h.slots[i]
	err := s.seal(ctx, h.store, c, key, passphrase)
	if err == nil {
		err = h.change(ctx, func() {
			h.raw.Slots[i].Iterations = s.KDF.Iterations
			copy(h.raw.Slots[i].Salt[:], s.KDF.Salt)
		})
	}
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
	return h.change(ctx, func() {
		h.raw.Slots[i].Iterations, h.raw.Slots[i].Salt = 0, [saltLen]byte{}
	})
}

func (h *header1) setState(ctx context.Context, i int, state uint32) error {
	return h.change(ctx, func() { h.raw.Slots[i].State = state })
}

// change puts the header on stable storage with what edit does to its fields, and takes them apart
// anew. What fails is as if it had not been tried.
func (h *header1) change(ctx context.Context, edit func()) error {
	old := h.raw
	edit()
	b, err := binary.Append(nil, binary.BigEndian, &h.raw)
	if err == nil {
		err = put(ctx, h.store, b, 0, "Unable to write LUKS header")
	}
	if err != nil {
		h.raw = old
		return err
	}
	return h.parse()
}
