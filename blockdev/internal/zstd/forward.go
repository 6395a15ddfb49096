package zstd

import "encoding/binary"

// forward writes bits that are read backward: what is written last is read first.
type forward struct {
	out  []byte
	acc  uint64
	held uint // bits of acc
}

// put writes the low n <= 32 bits of v, which has no others.
func (w *forward) put(v uint64, n uint) {
	w.acc |= v << (w.held & 63)
	w.held += n
	if w.held >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.acc >>= 32
		w.held -= 32
	}
}

// bytes ends the bits with the one that tells where they end.
func (w *forward) bytes() []byte {
	w.put(1, 1)
	return w.rest()
}

// rest ends the bits.
func (w *forward) rest() []byte {
	for n := uint(0); n < w.held; n += 8 {
		w.out = append(w.out, byte(w.acc>>n))
	}
	w.acc, w.held = 0, 0
	return w.out
}
