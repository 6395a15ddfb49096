// Package blockdev opens disks and disk images, and reads and writes them.
//
// Open makes a Device from a file name, options or both, with drivers from a list such as
// drivers.All(). It is the top of a stack of nodes: protocols hold bytes, formats say where the
// guest's bytes are in another node, filters change something on the way. The guard in front of
// each node makes of a request what the node takes, and orders requests that overlap.
//
//	Device ─▶ guard ─▶ filter ─▶ guard ─▶ format ─▶ guard ─▶ protocol ─▶ kernel
//
// Who writes a driver finds the other half in package driver.
package blockdev
