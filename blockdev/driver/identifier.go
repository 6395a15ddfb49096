package driver

import "strings"

// IsIdentifier says whether QEMU takes s for the name of a node, an object or a rule: letters,
// digits, '-', '.' and '_', beginning with a letter.
func IsIdentifier(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789-._", rune(c))) {
			return false
		}
	}
	return s != ""
}

// IdentifierError refuses an id that is none, in QEMU's words and with advice.
type IdentifierError struct{}

func (IdentifierError) Error() string { return "Parameter 'id' expects an identifier" }

// Hint says what an identifier is.
func (IdentifierError) Hint() string {
	return "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n"
}
