package luksheader

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

const (
	slots2     = 32
	areaAlign2 = 4096
	maxKeyLen  = 64 // of a volume, in bytes
)

// header2 is a header of version 2.
type header2 struct {
	base
	current   *copy2 // what was read or written last
	bothSound bool   // the other copy is as good as it can be

	doc      document
	digestID string
	end      int64 // of the room for material
}

var _ Header = (*header2)(nil)

func (h *header2) Version() int { return 2 }
func (h *header2) UUID() string { return text(h.current.raw[off2UUID:][:uuidLen2]) }

// parse2 reads the text of a copy whose checksum is right.
func parse2(s Store, detached bool, c *copy2, bothSound bool) (*header2, error) {
	h := &header2{
		base: base{store: s, detached: detached}, current: c, bothSound: bothSound,
	}
	body, _, _ := bytes.Cut(c.raw[binaryLen:], []byte{0})
	var err error
	if h.doc, err = decodeDocument(body); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		h.parseConfig, h.parseDigest, h.parseSegment,
		h.parseSlots,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *header2) parseConfig() error {
	var c configJSON
	if err := decode("config", h.doc.whole["config"], &c); err != nil {
		return err
	}
	if len(c.Requirements.Mandatory) > 0 {
		return refuse("LUKS2 requirement '%.60s' is not supported", c.Requirements.Mandatory[0])
	}
	begin := 2 * int64(len(h.current.raw))
	if c.KeyslotsSize > math.MaxInt64-decimal(begin) {
		return refuse("The room for LUKS2 keyslots has an odd length (%d)", c.KeyslotsSize)
	}
	h.end = begin + int64(c.KeyslotsSize)
	return nil
}

// parseDigest takes the digest of the one segment that there may be.
func (h *header2) parseDigest() error {
	for id, raw := range h.doc.digests {
		var d digestJSON
		if err := decode("digest", raw, &d); err != nil {
			return err
		}
		if !slices.Contains(d.Segments, "0") {
			continue
		}
		if d.Type != PBKDF2 || len(d.Digest) == 0 || len(d.Digest) > maxSalt ||
			len(d.Salt) > maxSalt {
			return refuse("LUKS2 digests of the type '%.40s' are not supported", d.Type)
		}
		h.digestID, h.digestValue = id, d.Digest
		h.digest = KDF{Type: PBKDF2, Hash: d.Hash, Iterations: d.Iterations, Salt: d.Salt}
		return h.digest.check(Limits{})
	}
	return refuse("The LUKS2 header has no digest")
}

func (h *header2) parseSegment() error {
	var segments map[string]segmentJSON
	if err := decode("segments", h.doc.whole["segments"], &segments); err != nil {
		return err
	}
	s, ok := segments["0"]
	if !ok || len(segments) != 1 {
		return refuse("LUKS2 headers with %d segments are not supported", len(segments))
	}
	keyLen, err := h.keyLen()
	if err != nil {
		return err
	}
	if h.payload, err = s.payload(keyLen); err != nil {
		return err
	}
	if !h.detached && h.payload.Off < 2*int64(len(h.current.raw)) {
		return refuse("LUKS payload is overlapping with the header")
	}
	return nil
}

// keyLen is the length of the volume key, which only key slots tell.
func (h *header2) keyLen() (n int, err error) {
	ids, err := h.digestSlots()
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		var s slotJSON
		if err := decode("keyslot", h.doc.keyslots[id], &s); err != nil {
			return 0, err
		}
		if s.KeySize <= 0 || s.KeySize > maxKeyLen || n != 0 && n != s.KeySize {
			return 0, refuse("Keyslot %.10s has a key of %d bytes", id, s.KeySize)
		}
		n = s.KeySize
	}
	if n == 0 {
		return 0, refuse("The LUKS2 header has no keyslots")
	}
	return n, nil
}

// digestSlots are the ids of the slots of our key.
func (h *header2) digestSlots() ([]string, error) {
	var d digestJSON
	err := decode("digest", h.doc.digests[h.digestID], &d)
	return d.Keyslots, err
}

func (h *header2) parseSlots() error {
	ours, err := h.digestSlots()
	if err != nil {
		return err
	}
	h.slots = make([]Slot, slots2)
	known := 0
	for i := range h.slots {
		raw, ok := h.doc.keyslots[slotID(i)]
		if !ok {
			continue
		}
		known++
		if err := h.parseSlot(i, raw, slices.Contains(ours, slotID(i))); err != nil {
			return err
		}
	}
	if known != len(h.doc.keyslots) {
		return refuse("The LUKS2 header has keyslots of other numbers than 0 to %d", slots2-1)
	}
	return h.checkAreas()
}

func (h *header2) parseSlot(i int, raw json.RawMessage, ours bool) (err error) {
	var s slotJSON
	if err := decode("keyslot", raw, &s); err != nil {
		return err
	}
	if s.Type != "luks2" || s.Area.Type != "raw" || !ours {
		return refuse("Keyslot %d is of a kind that is not supported ('%.40s')", i, s.Type)
	}
	if s.AF.Type != "luks1" || s.AF.Stripes != stripes {
		return refuse("Keyslot %d is corrupted (stripes %d != %d)", i, s.AF.Stripes, stripes)
	}
	slot := Slot{
		Active: true, Off: int64(s.Area.Offset), Len: int64(s.Area.Size), Stripes: s.AF.Stripes,
		keyLen: s.Area.KeySize, split: s.AF.Hash, priority: 1,
	}
	if slot.spec, err = parseEncryption(s.Area.Encryption, s.Area.KeySize); err != nil {
		return err
	}
	if s.KeySize != h.payload.KeyLen || materialLen(s.KeySize) > slot.Len {
		return refuse("Keyslot %d has too little room for its key", i)
	}
	if _, err = sectorcipher.Hash(s.AF.Hash); err != nil {
		return err
	}
	if s.Priority != nil {
		slot.priority = *s.Priority
	}
	slot.KDF, err = s.KDF.kdf()
	h.slots[i] = slot
	return err
}

// checkAreas refuses material outside of its room, or two at one place.
func (h *header2) checkAreas() error {
	begin, end := 2*int64(len(h.current.raw)), h.end
	if !h.detached && end > h.payload.Off {
		return refuse("The room for LUKS2 keyslots is overlapping with the encrypted payload")
	}
	for i, s := range h.slots {
		if !s.Active {
			continue
		}
		switch {
		case s.Off < begin:
			return refuse("Keyslot %d is overlapping with the LUKS header", i)
		case s.Len > end-s.Off:
			return refuse("Keyslot %d is overlapping with the encrypted payload", i)
		}
		for j, other := range h.slots[:i] {
			if other.Active && s.overlaps(other) {
				return refuse("Keyslots %d and %d are overlapping in the header", j, i)
			}
		}
	}
	return nil
}

// Unlock passes over slots that would take too much memory, if another one opens.
func (h *header2) Unlock(ctx context.Context, passphrase []byte, only int,
	l Limits,
) ([]byte, int, error) {
	failed := ErrPassphrase
	for _, i := range h.order(only) {
		key, err := h.tryKey(ctx, i, passphrase, l)
		switch {
		case key != nil:
			return key, i, nil
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		case err != nil:
			failed = err
		}
	}
	return nil, 0, failed
}

// SetSlot finds a place for the material and writes it, then the header.
func (h *header2) SetSlot(ctx context.Context, i int, key, passphrase []byte, c Cost) error {
	s := Slot{
		Len: driver.RoundUp(materialLen(len(key)), areaAlign2), spec: h.payload.Spec,
		keyLen: len(key),
	}
	var err error
	if s.Off, err = h.room(s.Len); err != nil {
		return err
	}
	if err := s.seal(ctx, h.store, c, key, passphrase); err != nil {
		return err
	}
	j := slotJSON{Type: "luks2", KeySize: len(key), KDF: newKDF(s.KDF)}
	j.AF.Type, j.AF.Stripes, j.AF.Hash = "luks1", stripes, c.Hash
	j.Area = areaJSON{
		Type: "raw", Offset: decimal(s.Off), Size: decimal(s.Len), Encryption: s.spec.String(),
		KeySize: s.keyLen,
	}
	raw, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return h.change(ctx, func() error {
		h.doc.keyslots[slotID(i)] = raw
		return relate(h.doc.digests, h.digestID, i, true)
	})
}

// change writes the header with what edit does to its text, and reads the slots anew. What fails is
// as if it had not been tried.
func (h *header2) change(ctx context.Context, edit func() error) error {
	old := h.doc.clone()
	err := edit()
	if err == nil {
		err = h.write(ctx)
	}
	if err != nil {
		h.doc = old
		return err
	}
	return h.parseSlots()
}

// room is the first place for material of that length that no other slot has.
func (h *header2) room(length int64) (int64, error) {
	taken := slices.DeleteFunc(slices.Clone(h.slots), func(s Slot) bool { return !s.Active })
	slices.SortFunc(taken, func(a, b Slot) int { return cmp.Compare(a.Off, b.Off) })
	off := 2 * int64(len(h.current.raw))
	for _, s := range taken {
		if s.Off-off >= length {
			break
		}
		off = max(off, driver.RoundUp(s.Off+s.Len, areaAlign2))
	}
	if h.end-off < length {
		return 0, driver.RefuseAs(syscall.ENOSPC, "The header has no room for another keyslot")
	}
	return off, nil
}

// ClearSlot takes the slot out of the header and overwrites its material, this even if the header
// cannot be written.
func (h *header2) ClearSlot(ctx context.Context, i int) error {
	s := h.slots[i]
	err := h.change(ctx, func() error {
		delete(h.doc.keyslots, slotID(i))
		for _, objects := range []map[string]json.RawMessage{h.doc.digests, h.doc.tokens} {
			for id := range objects {
				if err := relate(objects, id, i, false); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if wiped := wipe(ctx, h.store, s.Off, s.Len); err == nil {
		err = wiped
	}
	return err
}

// relate puts slot i into the list of a digest or token, or takes it out.
func relate(objects map[string]json.RawMessage, id string, i int, in bool) error {
	var o struct {
		Keyslots []string `json:"keyslots"`
	}
	if err := decode("list of keyslots", objects[id], &o); err != nil {
		return err
	}
	o.Keyslots = slices.DeleteFunc(o.Keyslots, func(s string) bool { return s == slotID(i) })
	if in {
		o.Keyslots = append(o.Keyslots, slotID(i))
	}
	return set(objects, id, map[string]any{"keyslots": o.Keyslots})
}
