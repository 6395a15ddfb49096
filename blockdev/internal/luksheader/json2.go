package luksheader

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"

	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// document is the JSON text of version 2. What is in it and not looked at here (tokens, priorities,
// what later versions add) stays as it is when the header is written.
type document struct {
	whole    map[string]json.RawMessage
	keyslots map[string]json.RawMessage
	digests  map[string]json.RawMessage
	tokens   map[string]json.RawMessage
}

// decimal is a number that the text has as a string, of bytes or sectors.
type decimal uint64

// UnmarshalJSON takes nothing but digits.
func (d *decimal) UnmarshalJSON(p []byte) error {
	var s string
	if err := json.Unmarshal(p, &s); err != nil {
		return err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && n > math.MaxInt64 {
		err = strconv.ErrRange
	}
	*d = decimal(n)
	return err
}

// MarshalJSON is the string.
func (d decimal) MarshalJSON() ([]byte, error) {
	return json.Marshal(strconv.FormatUint(uint64(d), 10))
}

// The objects of the text, as far as they matter here.
type (
	slotJSON struct {
		Type     string `json:"type"`
		KeySize  int    `json:"key_size"`
		Priority *int   `json:"priority,omitempty"`
		AF       struct {
			Type    string `json:"type"`
			Stripes int    `json:"stripes"`
			Hash    string `json:"hash"`
		} `json:"af"`
		Area areaJSON `json:"area"`
		KDF  kdfJSON  `json:"kdf"`
	}
	areaJSON struct {
		Type       string  `json:"type"`
		Offset     decimal `json:"offset"`
		Size       decimal `json:"size"`
		Encryption string  `json:"encryption"`
		KeySize    int     `json:"key_size"`
	}
	kdfJSON struct {
		Type       string `json:"type"`
		Time       uint32 `json:"time,omitempty"`
		Memory     uint32 `json:"memory,omitempty"`
		CPUs       uint32 `json:"cpus,omitempty"`
		Hash       string `json:"hash,omitempty"`
		Iterations uint32 `json:"iterations,omitempty"`
		Salt       []byte `json:"salt"`
	}
	segmentJSON struct {
		Type       string          `json:"type"`
		Offset     decimal         `json:"offset"`
		Size       string          `json:"size"`
		IVTweak    decimal         `json:"iv_tweak"`
		Encryption string          `json:"encryption"`
		SectorSize int             `json:"sector_size"`
		Integrity  json.RawMessage `json:"integrity,omitempty"`
	}
	digestJSON struct {
		Type       string   `json:"type"`
		Keyslots   []string `json:"keyslots"`
		Segments   []string `json:"segments"`
		Hash       string   `json:"hash"`
		Iterations uint32   `json:"iterations"`
		Salt       []byte   `json:"salt"`
		Digest     []byte   `json:"digest"`
	}
	configJSON struct {
		JSONSize     decimal `json:"json_size"`
		KeyslotsSize decimal `json:"keyslots_size"`
		Requirements struct {
			Mandatory []string `json:"mandatory"`
		} `json:"requirements,omitzero"`
	}
)

// decode reads a part of the text.
func decode(part string, raw json.RawMessage, to any) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return refuse("The %s of the LUKS2 header cannot be read: %v", part, err)
	}
	return nil
}

func decodeDocument(body []byte) (d document, err error) {
	if err := decode("JSON", body, &d.whole); err != nil {
		return d, err
	}
	for _, part := range d.parts() {
		if err := decode(part.name, d.whole[part.name], part.objects); err != nil {
			return d, err
		}
	}
	if d.whole == nil || d.keyslots == nil || d.digests == nil || d.tokens == nil {
		return d, refuse("Parts of the LUKS2 header are null")
	}
	return d, nil
}

// clone is the text as it is, whatever becomes of d.
func (d *document) clone() document {
	return document{
		maps.Clone(d.whole), maps.Clone(d.keyslots), maps.Clone(d.digests),
		maps.Clone(d.tokens),
	}
}

type documentPart struct {
	name    string
	objects *map[string]json.RawMessage
}

// parts are what may be changed.
func (d *document) parts() []documentPart {
	return []documentPart{{"keyslots", &d.keyslots}, {"digests", &d.digests}, {"tokens", &d.tokens}}
}

// encode is the text.
func (d *document) encode() ([]byte, error) {
	for _, part := range d.parts() {
		raw, err := json.Marshal(*part.objects)
		if err != nil {
			return nil, err
		}
		d.whole[part.name] = raw
	}
	return json.Marshal(d.whole)
}

// set writes an object of a part anew, but for those of its fields that are not named in fields.
func set(objects map[string]json.RawMessage, id string, fields map[string]any) error {
	var object map[string]json.RawMessage
	if err := decode("object", objects[id], &object); err != nil {
		return err
	}
	if object == nil {
		object = map[string]json.RawMessage{}
	}
	for name, value := range fields {
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		object[name] = raw
	}
	raw, err := json.Marshal(object)
	objects[id] = raw
	return err
}

// kdf is k as parameters, which derive checks.
func (k kdfJSON) kdf() (KDF, error) {
	iterations := k.Iterations
	if k.Type != PBKDF2 {
		iterations = k.Time
	}
	if len(k.Salt) > maxSalt || k.CPUs > maxLanes {
		return KDF{}, refuse("The parameters of %s cannot be", k.Type)
	}
	return KDF{
		Type: k.Type, Hash: k.Hash, Iterations: iterations, Memory: k.Memory, Lanes: uint8(k.CPUs),
		Salt: k.Salt,
	}, nil
}

// newKDF is the opposite.
func newKDF(k KDF) kdfJSON {
	j := kdfJSON{Type: k.Type, Salt: k.Salt}
	if k.Type == PBKDF2 {
		j.Hash, j.Iterations = k.Hash, k.Iterations
	} else {
		j.Time, j.Memory, j.CPUs = k.Iterations, k.Memory, uint32(k.Lanes)
	}
	return j
}

// parseEncryption reads a cipher and its mode in one word, such as aes-xts-plain64.
func parseEncryption(s string, keyLen int) (sectorcipher.Spec, error) {
	spec := sectorcipher.SplitSpec(s)
	return spec, spec.Check(keyLen)
}

// payload is the segment as it is used, if it can be.
func (s segmentJSON) payload(keyLen int) (Payload, error) {
	p := Payload{
		KeyLen: keyLen, Off: int64(s.Offset), Size: -1, Unit: s.SectorSize,
		Sector: uint64(s.IVTweak),
	}
	if s.Type != "crypt" || len(s.Integrity) > 0 {
		kind := "of the type '" + s.Type + "'"
		if len(s.Integrity) > 0 {
			kind = "with integrity protection"
		}
		return p, refuse("LUKS2 segments %s are not supported", kind)
	}
	if s.SectorSize < sectorLen || s.SectorSize > 4096 || s.SectorSize&(s.SectorSize-1) != 0 {
		return p, refuse("LUKS2 sectors of %d bytes are not supported", s.SectorSize)
	}
	if s.Size != "dynamic" {
		n, err := strconv.ParseUint(s.Size, 10, 63)
		if err != nil || n%uint64(s.SectorSize) != 0 {
			return p, refuse("The LUKS2 segment has an odd length (%.40s)", s.Size)
		}
		p.Size = int64(n)
	}
	if s.Offset%sectorLen != 0 || p.Size > math.MaxInt64-p.Off {
		return p, refuse("The LUKS2 segment has an odd place (%d)", s.Offset)
	}
	var err error
	p.Spec, err = parseEncryption(s.Encryption, keyLen)
	return p, err
}

func slotID(i int) string { return fmt.Sprint(i) }
