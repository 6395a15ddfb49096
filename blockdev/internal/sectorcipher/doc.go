// Package sectorcipher encrypts disks unit by unit, with the ciphers, modes and initialisation
// vectors that LUKS names.
//
// A disk is cut into units, nearly always sectors of 512 bytes, each of which is encrypted for
// itself: what differs from unit to unit is only its initialisation vector (IV), which is made from
// the unit's number. So any unit can be read or written alone, and a unit keeps its length.
//
//	number of the unit ─▶ IV ─┐
//	plain unit ───────────────┴▶ mode(block cipher, key) ─▶ encrypted unit
//
// A Spec names all three; New makes a Cipher of it and a key. The modes are written once in plain
// Go, over any block cipher (modes.go). For AES in the modes XTS and CBC the processor does the
// same several blocks at a time (aes_amd64.s), if it can; tests hold both against each other.
//
// Nothing here tells a wrong key from a right one, and nothing notices changed data: disk
// encryption keeps the length, so there is no room for a proof.
package sectorcipher
