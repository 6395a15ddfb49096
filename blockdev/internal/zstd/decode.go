package zstd

import "encoding/binary"

// Decoder unpacks frames. The zero value is ready; it keeps memory for the next one. It is for one
// goroutine at a time.
type Decoder struct {
	literals  [maxBlock]byte
	code      literalCode
	sequences sequences
	known     [len(codes)]bool // that the frame has given a table
}

// Decode unpacks the frame that src begins with into out, and says how many bytes it is and how
// many it takes of src. What follows it may be anything. It is an error if out is too short. Memory
// behind len(out) is not touched.
func (d *Decoder) Decode(out, src []byte) (n, took int, err error) {
	if took, err = skippable(src); took > 0 || err != nil {
		return 0, took, err
	}
	f, at, err := readHeader(src)
	if err != nil {
		return 0, 0, err
	}
	if f.sized && f.size > uint64(len(out)) {
		return 0, 0, errTooLong
	}
	d.sequences.recent = recent{1, 4, 8}
	d.known = [len(codes)]bool{}
	d.code.known = false
	for last := false; !last; {
		if at+blockHeader > len(src) {
			return 0, 0, errCut
		}
		header := window(src, 8*at) & (1<<(8*blockHeader) - 1)
		last = header&1 != 0
		at += blockHeader
		if n, at, err = d.block(out, n, src, at, f.block, header); err != nil {
			return 0, 0, err
		}
	}
	if f.sized && f.size != uint64(n) {
		return 0, 0, errCorrupt
	}
	if f.checksum {
		if at+checksumBytes > len(src) {
			return 0, 0, errCut
		}
		if binary.LittleEndian.Uint32(src[at:]) != uint32(xxh64(out[:n])) {
			return 0, 0, errChecksum
		}
		at += checksumBytes
	}
	return n, at, nil
}

// block unpacks a block whose header was read, behind the n bytes that there are. It returns how
// many there are then, and where the block ends.
func (d *Decoder) block(out []byte, n int, src []byte, at, limit int, header uint32) (
	int, int, error,
) {
	kind, size := header>>1&3, int(header>>3)
	if size > limit {
		return 0, 0, errCorrupt
	}
	end := at + size
	if kind == blockRun {
		end = at + 1
	}
	switch {
	case end > len(src):
		return 0, 0, errCut
	case kind == blockPacked:
		n, err := d.packed(out[:n+min(limit, len(out)-n)], n, src, at, end)
		return n, end, err
	case kind > blockPacked:
		return 0, 0, errCorrupt
	case size > len(out)-n:
		return 0, 0, errTooLong
	case kind == blockRaw:
		copy(out[n:], src[at:end])
	default:
		fill(out[n:n+size], src[at])
	}
	return n + size, end, nil
}

func fill(b []byte, with byte) {
	if with == 0 {
		clear(b)
		return
	}
	for i := range b {
		b[i] = with
	}
}

// packed unpacks the packed block at src[at:end] behind the n bytes that out has.
func (d *Decoder) packed(out []byte, n int, src []byte, at, end int) (int, error) {
	src = src[:end]
	literals, at, err := d.readLiterals(src, at)
	if err != nil {
		return 0, err
	}
	count, at, err := readCount(src, at)
	if err != nil {
		return 0, err
	}
	if count == 0 {
		if at != end {
			return 0, errCorrupt
		}
	} else {
		if at, err = d.readTables(src, at); err != nil {
			return 0, err
		}
		b, err := newBackward(src, at, end)
		if err != nil {
			return 0, err
		}
		s := &d.sequences
		s.out, s.n, s.literals, s.used, s.left = out, n, literals, 0, count
		err = s.execute(b)
		s.out, s.src, s.literals = nil, nil, nil
		if err != nil {
			return 0, err
		}
		n, literals = s.n, literals[s.used:]
	}
	if len(literals) > len(out)-n {
		return 0, errCorrupt
	}
	return n + copy(out[n:], literals), nil
}

// readLiterals returns the literals of a block, and where they end.
func (d *Decoder) readLiterals(src []byte, at int) (literals []byte, end int, err error) {
	if at >= len(src) {
		return nil, 0, errCut
	}
	kind, form := src[at]&3, src[at]>>2&3
	if kind == literalsPacked || kind == literalsAsBefore {
		return d.packedLiterals(src, at)
	}
	n := [...]int{1, 2, 1, 3}[form] // bytes of the header
	if at+n > len(src) {
		return nil, 0, errCut
	}
	size := int(src[at] >> 3)
	if n > 1 {
		size = int(window(src, 8*at)) & (1<<(8*n) - 1) >> 4
	}
	at += n
	switch {
	case size > maxBlock:
		return nil, 0, errCorrupt
	case kind == literalsRaw:
		if at+size > len(src) {
			return nil, 0, errCut
		}
		return src[at : at+size], at + size, nil
	case at >= len(src):
		return nil, 0, errCut
	}
	fill(d.literals[:size], src[at])
	return d.literals[:size], at + 1, nil
}

func (d *Decoder) packedLiterals(src []byte, at int) (literals []byte, end int, err error) {
	kind, form := src[at]&3, src[at]>>2&3
	bits := [...]int{10, 10, 14, 18}[form] // of each of two sizes
	n := (4 + 2*bits) / 8
	if at+n > len(src) {
		return nil, 0, errCut
	}
	header := uint64(window(src, 8*at)) | uint64(src[at+n-1])<<(8*(n-1))
	size := int(header >> 4 & (1<<bits - 1))
	packed := int(header >> (4 + bits) & (1<<bits - 1))
	at += n
	end = at + packed
	switch {
	case end > len(src):
		return nil, 0, errCut
	case size > maxBlock:
		return nil, 0, errCorrupt
	case kind == literalsPacked:
		n, err := d.code.read(src[:end], at)
		if err != nil {
			return nil, 0, err
		}
		at += n
	case !d.code.known:
		return nil, 0, errCorrupt
	}
	literals = d.literals[:size]
	if form == 0 {
		return literals, end, d.code.decode(literals, src, at, end)
	}
	return literals, end, d.code.decodeFour(literals, src, at, end)
}

// readCount reads how many sequences a block has, and says where that ends.
func readCount(src []byte, at int) (count, end int, err error) {
	n := 1
	if at < len(src) && src[at] > 127 {
		n = 2
		if src[at] == 255 {
			n = 3
		}
	}
	if at+n > len(src) {
		return 0, 0, errCut
	}
	switch n {
	case 1:
		count = int(src[at])
	case 2:
		count = int(src[at]-128)<<8 + int(src[at+1])
	default:
		count = int(binary.LittleEndian.Uint16(src[at+1:])) + 0x7f00
	}
	return count, at + n, nil
}

// readTables reads how the three parts of sequences are written, and says where that ends.
func (d *Decoder) readTables(src []byte, at int) (end int, err error) {
	if at >= len(src) {
		return 0, errCut
	}
	kinds := src[at]
	if kinds&3 != 0 {
		return 0, errCorrupt
	}
	at++
	for i := range codes {
		c, t := &codes[i], &d.sequences.tables[i]
		var states [maxSymbols]int16
		switch kind := kinds >> (6 - 2*i) & 3; kind {
		case codeStandard:
			t.build(*c.standard, c.of)
		case codeRun:
			if at >= len(src) {
				return 0, errCut
			}
			if int(src[at]) >= len(c.of.more) {
				return 0, errCorrupt
			}
			states[src[at]] = 1
			t.build(distribution{states: states[:]}, c.of)
			at++
		case codeGiven:
			read, n, err := readDistribution(src[at:], states[:], len(c.of.more), c.maxLog)
			if err != nil {
				return 0, err
			}
			t.build(read, c.of)
			at += n
		case codeAsBefore:
			if !d.known[i] {
				return 0, errCorrupt
			}
		}
		d.known[i] = true
	}
	return at, nil
}
