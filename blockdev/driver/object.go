package driver

// Secret is the data of a secret object: a passphrase or a key. It prints as a word, so that no error,
// trace or log shows it; Wipe it when it is of no more use.
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
		return nil, Refuse("No secret with id '%s'", id)
	case !ok:
		return nil, Refuse("Object with id '%s' is not a secret", id)
	}
	return append(Secret{}, s...), nil
}
