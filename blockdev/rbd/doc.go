// Package rbd reads and writes images in Ceph clusters by way of librbd. It is there in a build
// with cgo and the tag rbd only; without it, package nbd has qemu-nbd serve the same names.
//
//	go build -tags rbd ./cmd/blksh     # with librbd-dev installed
//
// All requests are asynchronous ones of librbd, which answers each on a thread of its own. A batch
// of a queue goes to librbd with one call, and one more waits for answers; what a request is made
// of lies in memory of C, written here. Single requests are batches of one, with the caller's
// memory pinned.
//
//	queue   ─▶ batch (rbd.c) ─▶ rbd_aio_* ─▶ librbd's threads ─▶ batch ─▶ Reap
//	request ─▶ batch of one ────────┘
//
// librbd cannot be told to forget a request. One that was started is waited for, whatever becomes
// of its context, as with calls of the kernel.
package rbd
