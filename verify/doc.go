// Package verify says whether data are what they should be, and if not, what happened to them. It
// knows nothing of devices and commands, and nothing of files: data come as slices of bytes.
//
// A [Pattern] says what belongs at each offset, so any piece of a device can be checked alone:
// [Check] compares, and a [Mismatch] tells which bytes are wrong and why. [Parser] reads patterns
// in the grammar of fio's verify_pattern, and some of our own. A [Diff] tells where two devices
// differ, without a word on why.
//
// A [Cause] is a guess by rules, of one [Class]: one bit, zeroes, data of another offset or moved
// by some bytes, an older generation, sectors of two of them, and so on. The classes that speak of
// headers are those of blocks that tell about themselves, which have two packages of their own:
//
//   - [github.com/blksh/blksh/verify/fio] knows fio's blocks byte for byte, in which order its jobs
//     write them, its options, job files and state files.
//   - [github.com/blksh/blksh/verify/job] writes such blocks and verifies them, over a queue of
//     requests that the caller provides.
package verify
