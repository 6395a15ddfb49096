// Package luksheader reads, makes and changes the headers of LUKS, versions 1 and 2: what says how
// a disk is encrypted and holds its key.
//
// The disk is encrypted with a volume key that is drawn once. Each key slot holds that same key,
// encrypted with another one that a passphrase makes, so that passphrases come and go while the
// disk stays as it is:
//
//	passphrase ─▶ KDF ─▶ slot key ─▶ decrypts the material of the slot ─▶ merge ─▶ volume key
//	                                                                                  │
//	                                 digest in the header, which tells a right key ◀──┘
//
// The material is the key blown up to 4000 times its length (split), all of which is needed to have
// it back: a part that is overwritten, anywhere, makes the slot useless for good.
//
// Read finds out the version; a Header of either kind answers the same questions. All that a header
// says is checked before it is used, since anybody may have written it: lengths before memory is
// taken, places before they are read, costs before they are paid.
//
// A header is changed in an order in which a crash loses nothing: the material of a new slot is on
// stable storage before the header tells of it, and a slot is gone from the header before its
// material is overwritten.
package luksheader
