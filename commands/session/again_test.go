package session

import "testing"

// TestAgain: the call that goes on is what was typed, with the other value of a flag, and reads as
// one line.
func TestAgain(t *testing.T) {
	f := &Flags{
		command: "verify_write",
		words:   []string{"-P", "a b", "--resume", "7", "--resume=8", "it's", "0", ""},
	}
	const want = `verify_write --resume 9 -P 'a b' 'it'\''s' 0 ''`
	if got := f.Again("resume", "9"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	const further = `verify_write --resume 9 --write --section 'a b' -P 'a b' 'it'\''s' 0 ''`
	if got := f.Again("resume", "9", "--write", "--section", "a b"); got != further {
		t.Errorf("%s, want %s", got, further)
	}
}
