package luksheader

import (
	"context"
	"encoding/binary"
	"encoding/json"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// Config says what header to make.
type Config struct {
	Version    int
	Spec       sectorcipher.Spec
	KeyLen     int    // of the volume key, in bytes
	Hash       string // of the split, of PBKDF2 and of the digest
	Unit       int    // of the payload; version 1 knows 512 bytes only
	Detached   bool   // the payload begins at 0, in another file
	Cost       Cost
	Passphrase []byte
}

// Check says whether there can be such a header, before there is a store for it.
func (c Config) Check() error {
	if err := c.Spec.Check(c.KeyLen); err != nil {
		return err
	}
	if _, err := sectorcipher.Hash(c.Hash); err != nil {
		return err
	}
	switch {
	case c.Version != 1 && c.Version != 2:
		return refuse("LUKS version %d is not supported", c.Version)
	case c.Version == 1 && c.Cost.Type != "" && c.Cost.Type != PBKDF2:
		return refuse("LUKS version 1 knows no other key derivation than %s", PBKDF2)
	case c.Version == 1 && c.Unit != sectorLen:
		return refuse("LUKS version 1 knows no other sectors than of %d bytes", sectorLen)
	}
	return nil
}

// PayloadOff is where the payload of a new header begins, in bytes.
func (c Config) PayloadOff() int64 {
	switch {
	case c.Detached:
		return 0
	case c.Version == 2:
		return areaEnd2
	}
	return c.HeaderLen()
}

// HeaderLen is the length of a new header with all its slots, in bytes.
func (c Config) HeaderLen() int64 {
	if c.Version == 2 {
		return areaEnd2
	}
	return firstSlot + slots1*c.stride1()
}

// stride1 is the distance of the material of two slots.
func (c Config) stride1() int64 {
	return driver.RoundUp(materialLen(c.KeyLen), slotAlign)
}

// Create makes a header with a new volume key in its first slot, and nothing in the others. The
// store must read as zeroes. The key is the caller's to wipe.
func Create(ctx context.Context, s Store, c Config) (h Header, key []byte, err error) {
	if err := c.Check(); err != nil {
		return nil, nil, err
	}
	key = random(c.KeyLen)
	if c.Version == 1 {
		h, err = create1(ctx, s, c, key)
	} else {
		h, err = create2(ctx, s, c, key)
	}
	if err == nil {
		err = h.SetSlot(ctx, 0, key, c.Passphrase, c.Cost)
	}
	return h, key, err
}

// digestOf is a digest of the key, of n bytes; it costs an eighth of opening a slot.
func (c Config) digestOf(ctx context.Context, key []byte, n int) (KDF, []byte, error) {
	cost := Cost{Type: PBKDF2, Hash: c.Hash, Time: c.Cost.Time / 8}
	kdf, err := cost.choose(ctx, n)
	if err != nil {
		return kdf, nil, err
	}
	digest, err := kdf.derive(ctx, key, n, Limits{})
	return kdf, digest, err
}

func create1(ctx context.Context, s Store, c Config, key []byte) (*header1, error) {
	h := &header1{base: base{store: s, detached: c.Detached}}
	kdf, digest, err := c.digestOf(ctx, key, digestLen1)
	if err != nil {
		return nil, err
	}
	r := &h.raw
	copy(r.Magic[:], magic)
	copy(r.Cipher[:], c.Spec.Cipher)
	copy(r.Mode[:], c.Spec.ModeString())
	copy(r.Hash[:], c.Hash)
	copy(r.Digest[:], digest)
	copy(r.DigestSalt[:], kdf.Salt)
	copy(r.UUID[:], newUUID())
	r.Version, r.DigestIterations = 1, kdf.Iterations
	r.Payload, r.KeyLen = uint32(c.PayloadOff()/sectorLen), uint32(c.KeyLen)
	for i := range r.Slots {
		slot := &r.Slots[i]
		slot.State, slot.Stripes = slotOff, stripes
		slot.Off = uint32((firstSlot + int64(i)*c.stride1()) / sectorLen)
	}
	if err := h.parse(); err != nil {
		return nil, err
	}
	return h, h.change(ctx, func() {})
}

// The layout of a new header of version 2, which is that of cryptsetup.
const (
	newHeader2 = 16 << 10
	areaEnd2   = 16 << 20
)

func create2(ctx context.Context, s Store, c Config, key []byte) (*header2, error) {
	newHash, err := sectorcipher.Hash(c.Hash)
	if err != nil {
		return nil, err
	}
	kdf, digest, err := c.digestOf(ctx, key, newHash().Size())
	if err != nil {
		return nil, err
	}
	first := &copy2{raw: make([]byte, newHeader2)}
	b := first.raw
	copy(b, magic)
	binary.BigEndian.PutUint16(b[off2Version:], 2)
	binary.BigEndian.PutUint64(b[off2Size:], newHeader2)
	copy(b[off2Alg:], "sha256")
	copy(b[off2UUID:], newUUID())
	h := &header2{current: first, bothSound: true, end: areaEnd2, digestID: "0"}
	h.base = base{
		store: s, detached: c.Detached, digest: kdf, digestValue: digest,
		payload: Payload{
			Spec: c.Spec, KeyLen: c.KeyLen, Off: c.PayloadOff(), Size: -1, Unit: c.Unit,
		},
	}
	h.doc, err = newDocument(h)
	return h, err
}

// newDocument is the text of a header without slots.
func newDocument(h *header2) (document, error) {
	d := document{
		whole:    map[string]json.RawMessage{},
		keyslots: map[string]json.RawMessage{},
		digests:  map[string]json.RawMessage{},
		tokens:   map[string]json.RawMessage{},
	}
	for name, value := range map[string]any{
		"segments": map[string]segmentJSON{"0": {
			Type: "crypt", Offset: decimal(h.payload.Off), Size: "dynamic",
			Encryption: h.payload.Spec.String(), SectorSize: h.payload.Unit,
		}},
		"config": configJSON{JSONSize: newHeader2 - binaryLen, KeyslotsSize: areaEnd2 - 2*newHeader2},
		"digests": map[string]digestJSON{h.digestID: {
			Type: PBKDF2, Keyslots: []string{}, Segments: []string{"0"},
			Hash: h.digest.Hash, Iterations: h.digest.Iterations, Salt: h.digest.Salt,
			Digest: h.digestValue,
		}},
	} {
		raw, err := json.Marshal(value)
		if err != nil {
			return d, err
		}
		d.whole[name] = raw
	}
	return d, decode("digests", d.whole["digests"], &d.digests)
}
