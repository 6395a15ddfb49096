package zstd

import (
	"encoding/binary"
	"math"
)

// Encoder packs frames. The zero value is ready; it keeps memory for the next one. It is for one
// goroutine at a time.
type Encoder struct {
	matcher matcher
	code    literalEncoder
	coders  [len(codes)]stateCoder
	symbols [len(codes)][]uint8 // of all sequences
	scratch []byte
}

// Encode appends a frame to out that unpacks to src, which is a few megabytes long at most: readers
// may have to keep all of it. The frame has no checksum.
func (e *Encoder) Encode(out, src []byte) []byte {
	out = binary.LittleEndian.AppendUint32(out, magic)
	const single = 0x20
	switch n := len(src); {
	case n < 256:
		out = append(out, single, uint8(n))
	case n < 256+1<<16:
		out = binary.LittleEndian.AppendUint16(append(out, single|1<<6), uint16(n-256))
	default:
		out = binary.LittleEndian.AppendUint32(append(out, single|2<<6), uint32(n))
	}
	e.matcher.begin(src)
	for at := 0; ; {
		end := at + min(len(src)-at, maxBlock)
		last := uint32(0)
		if end == len(src) {
			last = 1
		}
		out = e.block(out, src[at:end], end, last)
		if at = end; last == 1 {
			e.matcher.end()
			return out
		}
	}
}

// block appends the block that plain becomes, which ends at end of the input.
func (e *Encoder) block(out, plain []byte, end int, last uint32) []byte {
	at := len(out)
	header := func(kind, n int) {
		h := last | uint32(kind)<<1 | uint32(n)<<3
		out[at], out[at+1], out[at+2] = byte(h), byte(h>>8), byte(h>>16)
	}
	out = append(out, 0, 0, 0)
	recent := e.matcher.recent
	e.matcher.find(end)
	out = e.appendLiterals(out, e.matcher.literals)
	out = e.appendSequences(out)
	if n := len(out) - at - blockHeader; n < len(plain) {
		header(blockPacked, n)
		return out
	}
	e.matcher.recent = recent // whoever reads it knows of no sequences here
	out = append(out[:at+blockHeader], plain...)
	header(blockRaw, len(plain))
	return out
}

// appendLiterals appends the literals of a block, packed if that is shorter.
func (e *Encoder) appendLiterals(out, literals []byte) []byte {
	n := len(literals)
	if n >= 32 {
		counts := count(literals)
		if int(counts[literals[0]]) == n {
			return append(appendSize(out, literalsRun, n), literals[0])
		}
		if packed := e.appendPacked(out, literals, &counts); packed != nil {
			return packed
		}
	}
	return append(appendSize(out, literalsRaw, n), literals...)
}

// appendSize appends the header of literals that are not packed.
func appendSize(out []byte, kind uint8, n int) []byte {
	switch {
	case n < 1<<5:
		return append(out, kind|uint8(n)<<3)
	case n < 1<<12:
		return binary.LittleEndian.AppendUint16(out, uint16(kind)|1<<2|uint16(n)<<4)
	}
	h := uint32(kind) | 3<<2 | uint32(n)<<4
	return append(out, byte(h), byte(h>>8), byte(h>>16))
}

// appendPacked appends literals, packed; nil if that is not shorter.
func (e *Encoder) appendPacked(out, literals []byte, counts *[256]uint32) []byte {
	n := len(literals)
	e.code.build(counts)
	if e.code.bytes(counts) >= n-n>>6 {
		return nil
	}
	form, width := 0, 10
	switch {
	case n >= 1<<14:
		form, width = 3, 18
	case n >= 1<<10:
		form, width = 2, 14
	case n >= 256:
		form = 1
	}
	header := (4 + 2*width) / 8
	at := len(out)
	out = append(out, make([]byte, header)...)
	if out = e.code.appendTo(out); out == nil {
		return nil
	}
	if form == 0 {
		out = e.code.appendStream(out, literals)
	} else if out = e.appendFour(out, literals); out == nil {
		return nil
	}
	packed := len(out) - at - header
	if packed >= n || packed >= 1<<width {
		return nil
	}
	h := uint64(literalsPacked) | uint64(form)<<2 | uint64(n)<<4 | uint64(packed)<<(4+width)
	for i := range header {
		out[at+i] = byte(h >> (8 * i))
	}
	return out
}

// appendFour appends literals in four streams; nil if one is too long to say how long.
func (e *Encoder) appendFour(out, literals []byte) []byte {
	each := (len(literals) + 3) / 4
	sizes := len(out)
	out = append(out, make([]byte, 6)...)
	for i := range 4 {
		at := len(out)
		out = e.code.appendStream(out, literals[i*each:min(len(literals), (i+1)*each)])
		switch n := len(out) - at; {
		case n > math.MaxUint16:
			return nil
		case i < 3:
			binary.LittleEndian.PutUint16(out[sizes+2*i:], uint16(n))
		}
	}
	return out
}

// appendSequences appends the sequences of a block.
func (e *Encoder) appendSequences(out []byte) []byte {
	list := e.matcher.sequences
	switch n := len(list); {
	case n < 128:
		out = append(out, uint8(n))
	case n < 0x7f00:
		out = append(out, uint8(n>>8)|128, uint8(n))
	default:
		out = binary.LittleEndian.AppendUint16(append(out, 255), uint16(n-0x7f00))
	}
	if len(list) == 0 {
		return out
	}
	for i := range e.symbols {
		e.symbols[i] = e.symbols[i][:0]
	}
	lengths, matches := literalLengths.bases(), matchLengths.bases()
	for _, s := range list {
		e.symbols[ofLiterals] = append(e.symbols[ofLiterals], lengthCode(s.literals, &lengths))
		e.symbols[ofMatch] = append(e.symbols[ofMatch], matchCode(s.match, &matches))
		e.symbols[ofOffset] = append(e.symbols[ofOffset], offsetCode(s.offset))
	}
	kinds := len(out)
	out = append(out, 0)
	for i := range codes {
		var kind uint8
		kind, out = e.choose(out, i)
		out[kinds] |= kind << (6 - 2*i)
	}
	return e.appendCodes(out, list, &lengths, &matches)
}

// choose finds the shortest way to write a part of all sequences, and appends what it takes to tell
// of it.
func (e *Encoder) choose(out []byte, part int) (kind uint8, _ []byte) {
	c, coder, symbols := &codes[part], &e.coders[part], e.symbols[part]
	var counts [maxSymbols]uint32
	for _, s := range symbols {
		counts[s]++
	}
	var states [maxSymbols]int16
	kind, own := uint8(codeRun), distribution{states: states[:]}
	e.scratch = append(e.scratch[:0], symbols[0])
	if int(counts[symbols[0]]) == len(symbols) {
		states[symbols[0]] = 1
	} else {
		kind, own = codeGiven, shares(counts[:], len(symbols), c.maxLog, states[:])
		e.scratch = own.appendTo(e.scratch[:0])
	}
	if c.standard.bits(counts[:]) <= float64(8*len(e.scratch))+own.bits(counts[:]) {
		kind, own, e.scratch = codeStandard, *c.standard, e.scratch[:0]
	}
	coder.build(own)
	return kind, append(out, e.scratch...)
}

// appendCodes appends the sequences, from the last to the first.
func (e *Encoder) appendCodes(out []byte, list []sequence,
	lengthBases, matchBases *[maxSymbols]uint32,
) []byte {
	w := forward{out: out}
	lengths, offsets, matches := &e.coders[ofLiterals], &e.coders[ofOffset], &e.coders[ofMatch]
	var ls, os, ms uint16
	for i := len(list) - 1; i >= 0; i-- {
		l, o, m := e.symbols[ofLiterals][i], e.symbols[ofOffset][i], e.symbols[ofMatch][i]
		if i == len(list)-1 {
			ls, os, ms = lengths.start[l], offsets.start[o], matches.start[m]
		} else {
			os = offsets.put(&w, os, o)
			ms = matches.put(&w, ms, m)
			ls = lengths.put(&w, ls, l)
		}
		s := &list[i]
		w.put(uint64(s.literals-lengthBases[l]), uint(literalLengths.more[l]))
		w.put(uint64(s.match-matchBases[m]), uint(matchLengths.more[m]))
		w.put(uint64(s.offset)&(1<<o-1), uint(o))
	}
	matches.end(&w, ms)
	offsets.end(&w, os)
	lengths.end(&w, ls)
	return w.bytes()
}
