// Package fio knows what fio's verification jobs write, byte for byte and in the same order, so
// that either side verifies what the other wrote. It computes and reads nothing but what it is
// given: running jobs is the business of package job.
//
// [Options] are what fio's options are: [Options.Set] takes one by its name, [ParseJobFile] reads
// the job files. They fall into a [Workload], which is all that blocks depend on, and a [Run],
// which changes none of them. [NewLayout] works out what a workload means for each block, or says
// which option is wrong. An [Order] makes the requests of the job, again and again the same, and a
// [Builder] their bytes:
//
//   - a [Header] with the offset, the length, the type and the seed of the block,
//   - a [Checksum] of what follows,
//   - and the [Payload], which the seed makes, or a pattern.
//
// fio has changed all of these. A [Release] is a family of versions that write the same; headers
// and fillers of all of them are recognised. A [State] is fio's own note of how far a job got.
//
// # Files of the package
//
// header, checksum, crc, xxh32, fill, payload, build: the bytes of a block. order, tausworthe,
// lfsr, distribution, rwmix, axmap: which blocks, in which order. workload, options, layout,
// optiontable, optionvalues, units, calculate, files, jobfile, release: what a job says. state: how
// far it came.
package fio
