package tests

import (
	"os"
	"strings"
	"testing"
)

// TestPromptScreens takes the screens of a page from a session, and holds the page against them, or
// writes it with -update.
func TestPromptScreens(t *testing.T) {
	t.Parallel()
	const page = pagesFolder + "screen.md"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	show := func(name, screen string) {
		t.Helper()
		screen = strings.Trim(screen, "\n")
		if text, err = between(text, name, "\n```\n"+screen+"\n```\n\n"); err != nil {
			t.Fatal(err)
		}
	}

	dir, _, _ := numbers(t)
	tty, screen := editor(t, dir, "edit --undo my.undo 4k")
	tty.press(t, "424c4b\tSH!")
	tty.sees(t, screen, "6 changed")
	show("edit", screen.String())
	tty.press(t, "\x13")
	tty.sees(t, screen, "Type yes")
	show("write", screen.String())
	tty.press(t, "yes\r")
	tty.sees(t, screen, "wrote 6 bytes")
	tty.press(t, "\x11", "> ")
	screen = newVT(5, 80)
	screen.read = len(tty.shown)
	tty.press(t, "undo my.undo\r")
	tty.sees(t, screen, "undone")
	tty.until(t, screen, "asks again", func() bool {
		return strings.HasSuffix(strings.TrimRight(screen.String(), "\n"), "disk.img rw>")
	})
	show("undo", "disk.img rw> "+strings.TrimPrefix(screen.String(), "disk.img rw> "))

	for _, line := range []string{"read -P 0x68 0 1", "length"} {
		tty.press(t, line+"\r", line+"\r\n", "> ")
	}
	screen = newVT(1, 80)
	screen.read = len(tty.shown)
	tty.press(t, "\x12read")
	tty.sees(t, screen, "search 'read': read -P 0x68 0 1")
	show("search", screen.String())
	tty.press(t, "\x07")
	tty.leaves(t, "exit 0")
	fresh(t, page, []byte(text))
}
