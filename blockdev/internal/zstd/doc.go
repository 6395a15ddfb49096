// Package zstd packs and unpacks the frames of Zstandard (RFC 8878) that clusters of images are
// kept in. What is unpacked fits into memory that the caller has, so there is no window to keep and
// nothing is allocated for what a frame asks for.
//
//	Decoder.Decode   frame ─▶ blocks ─▶ literals (huffman.go) ┐
//	                                    sequences (fse.go)    ┴▶ copies (execute.go)
//
//	Encoder.Encode   matches (match.go) ─▶ literals, sequences ─▶ their cheapest codes
//
// Sequences say how many literals to take, and how many bytes to repeat from how far back. Both
// codes are read from their end to their beginning, by [backward].
//
// There are no dictionaries. Frames that need one are refused.
package zstd

import "errors"

// Magic numbers of frames, and of those that hold nothing.
const (
	magic         = 0xfd2fb528
	skipMagic     = 0x184d2a50 // and the 15 above it
	skipMask      = 0xfffffff0
	maxBlock      = 128 << 10 // bytes that a block unpacks to, at most
	minWindowLog  = 10
	blockHeader   = 3
	checksumBytes = 4
)

// The kinds of blocks.
const (
	blockRaw = iota
	blockRun
	blockPacked
)

// The kinds of literals.
const (
	literalsRaw = iota
	literalsRun
	literalsPacked
	literalsAsBefore // packed by the code of the block before
)

// How the code of one part of all sequences is given.
const (
	codeStandard = iota
	codeRun      // one symbol
	codeGiven
	codeAsBefore
)

var (
	errCorrupt    = errors.New("zstd: corrupt frame")
	errCut        = errors.New("zstd: the frame is cut off")
	errNoFrame    = errors.New("zstd: no frame")
	errTooLong    = errors.New("zstd: the frame unpacks to more bytes than there is room for")
	errDictionary = errors.New("zstd: the frame needs a dictionary")
	errChecksum   = errors.New("zstd: the checksum is wrong")
)
