package driver

import "syscall"

// Secret is the data of a secret object: a passphrase or a key. It prints as a word, so that no
// error, trace or log shows it; Wipe it when it is of no more use.
type Secret []byte

// String hides it.
func (Secret) String() string { return "(secret)" }

// GoString hides it.
func (Secret) GoString() string { return "(secret)" }

// Wipe makes all bytes zero.
func (s Secret) Wipe() { clear(s) }

// secretOf is a copy of the object as a secret, refused in QEMU's words.
func secretOf(object any, id string) (Secret, error) {
	s, ok := object.(Secret)
	switch {
	case object == nil:
		return nil, RefuseAs(syscall.EINVAL, "No secret with id '%s'", id)
	case !ok:
		return nil, RefuseAs(syscall.EINVAL, "Object with id '%s' is not a secret", id)
	}
	return append(Secret{}, s...), nil
}

// Question is what a person is asked for: the passphrase of an encrypted image.
type Question struct {
	Image string // the name of its file
	New   bool   // for an image or a key that is to be made: a passphrase to be chosen
	Again bool   // the last answer was wrong
	// Legacy: the encryption of old qcow2 images, of which nobody can tell whether an answer is
	// right.
	Legacy bool
}
