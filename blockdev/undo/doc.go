// Package undo keeps what a disk held before it was changed, and puts it back.
//
// A Recorder stands as a filter in front of a disk. Before the first change of a block it appends
// the old bytes to a log; before every change it appends what the sectors will hold. Undo reads the
// log, looks whether the disk still holds what was written, and writes the old bytes back:
//
//	disk ◀── Recorder ◀── writes        log: header, then records
//	             │                             old    the bytes of blocks, or that they were zeroes
//	             └──▶ log ──▶ Undo             new    a sum of each sector that is to be written
//	                                           any    sectors of which nothing is known (discarded)
//	                                           size   the length of the disk
//
// # What a crash leaves
//
// The old bytes are on stable storage before the change reaches the disk. So whenever the machine
// or the program ends, each block that may have changed is in the log. What was to be written is in
// the log too, unless the machine lost its power before the next flush: Undo then finds sectors
// that it does not know, and says so. A log that ends in the middle of a record ends before that
// record: the change that it belongs to was never made; so does one that ends in zeroes. A record
// that is there and is not what was written is damage. What stands behind it is read all the same,
// but Undo does nothing then unless it is forced to. Undo itself can be interrupted and begun
// again, because a sector with its old bytes is as it should be.
//
// # The format
//
// All numbers are little-endian. The header is 64 bytes: the magic "blksh undo log\n\0" (16), the
// version (4), the size of a block (4), the length of the disk in bytes (8), zeroes (28), and the
// CRC-32C of the 60 bytes before (4). A record is a head of 32 bytes: kind (4), the length of what
// follows the head (4), offset (8) and length (8) of the range on the disk, the CRC-32C of what
// follows (4), the CRC-32C of the 28 bytes before (4).
package undo
