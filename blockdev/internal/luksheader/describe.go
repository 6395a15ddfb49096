package luksheader

import (
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
)

// Describe tells of the header in QEMU's words, and of version 2 in words like them. format, which
// may be "", stands among them.
func (v *Volume) Describe(format string) []driver.Detail {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.header
	p := h.Payload()
	bits := p.KeyLen * 8
	if p.Spec.Mode == "xts" {
		bits /= 2
	}
	d := []driver.Detail{
		{Key: "ivgen alg", Value: p.Spec.IV},
		{Key: "hash alg", Value: h.Digest().Hash},
		{Key: "cipher alg", Value: fmt.Sprintf("%s-%d", p.Spec.Cipher, bits)},
		{Key: "uuid", Value: h.UUID()},
	}
	if format != "" {
		d = append(d, driver.Detail{Key: "format", Value: format})
	}
	if p.Spec.IVHash != "" {
		d = append(d, driver.Detail{Key: "ivgen hash alg", Value: p.Spec.IVHash})
	}
	d = append(d, driver.Detail{Key: "cipher mode", Value: p.Spec.Mode})
	if h.Version() > 1 {
		d = append(d,
			driver.Detail{Key: "version", Value: int64(h.Version())},
			driver.Detail{Key: "sector size", Value: int64(p.Unit)},
		)
	}
	return append(d,
		driver.Detail{Key: "slots", Sub: slotDetails(h)},
		driver.Detail{Key: "payload offset", Value: p.Off},
		driver.Detail{Key: "master key iters", Value: int64(h.Digest().Iterations)},
	)
}

// slotDetails describes the slots; of version 2, which has many, those that are in use.
func slotDetails(h Header) (list []driver.Detail) {
	for i, s := range h.Slots() {
		if h.Version() > 1 && !s.Active {
			continue
		}
		d := []driver.Detail{{Key: "active", Value: s.Active}}
		if h.Version() > 1 {
			d = append(d, driver.Detail{Key: "slot", Value: int64(i)},
				driver.Detail{Key: "kdf", Value: s.KDF.Type})
		}
		if s.Active {
			d = append(d, driver.Detail{Key: "iters", Value: int64(s.KDF.Iterations)})
		}
		if s.KDF.Memory > 0 {
			d = append(d, driver.Detail{Key: "memory", Value: int64(s.KDF.Memory) << 10})
		}
		d = append(d, driver.Detail{Key: "key offset", Value: s.Off})
		if s.Active {
			d = append(d, driver.Detail{Key: "stripes", Value: int64(s.Stripes)})
		}
		list = append(list, driver.Detail{Sub: d})
	}
	return list
}
