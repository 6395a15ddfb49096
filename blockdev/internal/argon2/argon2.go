// Package argon2 is Argon2i and Argon2id, version 1.3 (RFC 9106), which make a key of a passphrase
// with as much time and memory as they are told.
//
// The memory is rows of blocks, one for each lane. A pass makes a block of the one before and of
// another one, which depends on what was made so far or, in Argon2i and at the beginning of
// Argon2id, on where it is alone. Lanes are filled at the same time and wait for each other at each
// quarter of a row, since a lane looks only at quarters of others that are done.
package argon2

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/blksh/blksh/blockdev/internal/blake2"
)

// Type is a way to choose the other block.
type Type uint32

// The types, by the numbers of the RFC.
const (
	I  Type = 1
	ID Type = 2
)

const (
	version    = 0x13
	blockWords = 128
	blockBytes = 8 * blockWords
	quarters   = 4
	// lookEach is after how many blocks ctx is looked at.
	lookEach = 1 << 10
)

type block [blockWords]uint64

// Cost is what a key costs: memory in KiB, which is passed over so many times by so many lanes.
type Cost struct {
	Passes, Memory uint32
	Lanes          uint8
}

// Key makes a key of n bytes. The cost has a pass, a lane, and 8 KiB for each lane at least. The
// error is the cause of ctx.
func Key(ctx context.Context, how Type, passphrase, salt []byte, c Cost, n int) ([]byte, error) {
	lanes := uint32(c.Lanes)
	f := &filling{
		how: how, passes: c.Passes, lanes: lanes,
		quarter: c.Memory / (quarters * lanes), // of which each lane has so many blocks
	}
	f.row = quarters * f.quarter
	f.blocks = make([]block, f.row*lanes)
	f.begin(seed(how, passphrase, salt, c, n))
	for pass := range c.Passes {
		for quarter := range uint32(quarters) {
			var lane sync.WaitGroup
			for l := range lanes {
				lane.Go(func() { f.fill(ctx, pass, quarter, l) })
			}
			lane.Wait()
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
	}
	last := f.blocks[f.row-1]
	for l := range lanes - 1 {
		for i, w := range f.blocks[(l+2)*f.row-1] {
			last[i] ^= w
		}
	}
	key := make([]byte, n)
	words, err := binary.Append(nil, binary.LittleEndian, last[:])
	long(key, words)
	return key, err
}

// seed is the hash of all parameters.
func seed(how Type, passphrase, salt []byte, c Cost, n int) []byte {
	h := blake2.New512()
	number := func(v uint32) { h.Write(binary.LittleEndian.AppendUint32(nil, v)) }
	for _, v := range []uint32{
		uint32(c.Lanes), uint32(n), c.Memory, c.Passes, version, uint32(how),
	} {
		number(v)
	}
	for _, part := range [][]byte{passphrase, salt, nil, nil} {
		number(uint32(len(part)))
		h.Write(part)
	}
	return h.Sum(nil)
}

// long is a hash as long as out, H' of the RFC.
func long(out []byte, message ...[]byte) {
	h := blake2.New(min(len(out), blake2.Size))
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(out))))
	for _, m := range message {
		h.Write(m)
	}
	sum := h.Sum(nil)
	for len(out) > blake2.Size {
		n := copy(out, sum[:blake2.Size/2])
		out = out[n:]
		h = blake2.New(min(len(out), blake2.Size))
		h.Write(sum)
		sum = h.Sum(nil)
	}
	copy(out, sum)
}

// filling is the memory while it is filled.
type filling struct {
	how                         Type
	passes, lanes, row, quarter uint32 // row and quarter in blocks
	blocks                      []block
}

// begin makes the first two blocks of each lane.
func (f *filling) begin(seed []byte) {
	var raw [blockBytes]byte
	for l := range f.lanes {
		for i := range uint32(2) {
			where := binary.LittleEndian.AppendUint32(nil, i)
			long(raw[:], seed, binary.LittleEndian.AppendUint32(where, l))
			b := &f.blocks[l*f.row+i]
			for w := range b {
				b[w] = binary.LittleEndian.Uint64(raw[8*w:])
			}
		}
	}
}

// fill makes a quarter of a lane.
func (f *filling) fill(ctx context.Context, pass, quarter, lane uint32) {
	var scratch block
	var a *addresses
	if f.how == I || pass == 0 && quarter < quarters/2 {
		a = &addresses{input: block{
			uint64(pass), uint64(lane), uint64(quarter), uint64(len(f.blocks)),
			uint64(f.passes), uint64(f.how),
		}}
	}
	first := uint32(0)
	if pass == 0 && quarter == 0 {
		first = 2
	}
	start := lane*f.row + quarter*f.quarter
	for i := first; i < f.quarter; i++ {
		if i%lookEach == 0 && ctx.Err() != nil {
			return
		}
		at := start + i
		before := at - 1
		if quarter == 0 && i == 0 {
			before = (lane+1)*f.row - 1
		}
		number := f.blocks[before][0]
		if a != nil {
			number = a.at(i, &scratch)
		}
		other := f.other(pass, quarter, lane, i, number)
		compress(&f.blocks[at], &f.blocks[before], &f.blocks[other], &scratch, pass > 0)
	}
}

// other is the other block that the one at a place is made of, which a number chooses.
func (f *filling) other(pass, quarter, lane, i uint32, number uint64) uint32 {
	from := uint32(number>>32) % f.lanes
	if pass == 0 && quarter == 0 {
		from = lane
	}
	area := quarter * f.quarter // blocks that are done
	start := uint32(0)
	if pass > 0 {
		area = f.row - f.quarter
		start = (quarter + 1) % quarters * f.quarter
	}
	switch {
	case from == lane:
		area += i - 1 // and not the one before
	case i == 0:
		area--
	}
	x := number & (1<<32 - 1)
	x = x * x >> 32
	back := uint32(uint64(area) * x >> 32)
	return from*f.row + (start+area-1-back)%f.row
}

// addresses are numbers that depend on the place alone.
type addresses struct {
	input, zero, numbers block
}

// at is the number for block i of a quarter. The calls are for one after the other.
func (a *addresses) at(i uint32, scratch *block) uint64 {
	const counter = 6
	if a.input[counter] == 0 || i%blockWords == 0 {
		a.input[counter]++
		compress(&a.numbers, &a.zero, &a.input, scratch, false)
		first := a.numbers
		compress(&a.numbers, &a.zero, &first, scratch, false)
	}
	return a.numbers[i%blockWords]
}
