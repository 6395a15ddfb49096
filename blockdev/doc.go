// Package blockdev opens disks and disk images, and reads and writes them.
//
// A Device is an open disk: the top of a stack of small nodes, of which each is one layer. Protocols hold
// bytes (a file, a device, memory), formats say where the guest's bytes are inside another node (raw,
// qcow2), and filters change something on the way (blkdebug, copy-on-read).
//
//	Device ─▶ guard ─▶ filter ─▶ guard ─▶ format ─▶ guard ─▶ protocol ─▶ kernel
//
// Open makes such a stack from a file name, an option string or both, with the drivers of an explicit
// list such as drivers.All(). The Device checks bounds and permissions, once; the guard in front of each
// node splits and pads requests to what the node takes, emulates what it does not know, and orders
// requests that overlap. Create makes new images.
//
// Who writes a driver finds the other half in package driver.
package blockdev
