package repl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// images completes commands, flags, and any operand from a list.
type images []string

func (images) Commands() []string { return []string{"length", "open", "read", "readv", "use"} }

func (images) Flags(line []string) []Choice {
	if line[0] != "read" {
		return nil
	}
	return []Choice{
		{"-P", "--pattern", "pattern"},
		{"-q", "", ""},
		{"-v", "--verbose", "dump"},
		{"--style", "", ""},
	}
}

func (i images) Args(line []string, _ string) []string {
	last := line[len(line)-1]
	isFlag := func(w string) bool { return strings.HasPrefix(w, "-") }
	operands := slices.DeleteFunc(line[1:], isFlag)
	switch {
	case line[0] == "use" && len(operands) > 0:
		return nil
	case last == "--style":
		return []string{"qemu", "xxd"}
	case line[0] == "?":
		return []string{"read", "sizes"}
	}
	return i
}

// Begin: commands end with ";", and "if" wants "ok".
func (images) Begin(line []string) (before int, keywords []string, alone bool) {
	for i, w := range line {
		if strings.HasSuffix(w, ";") {
			before = i + 1
		}
	}
	if len(line) > before && line[before] == "if" {
		return len(line), []string{"ok"}, true
	}
	return before, []string{"if"}, false
}

func TestComplete(t *testing.T) {
	t.Setenv("HOME", "/home/sam")
	names := images{
		"disk.img", "dir/", "my disk", "it's", `"quoted"`, "#1", "größer", "groß",
		"\x1b[31mred", "/home/sam/disk",
	}
	for _, c := range []struct{ before, want string }{
		{"", ""},
		{"l", "length "},
		{"  l", "  length "},
		{"rea", "read"},
		{"read", ""},
		{"readv", "readv "},
		{"x", "none"},
		{"i", "if "},
		{"if ", "if ok "},
		{"if x", "none"},
		{"length; rea", "length; read"},
		{"length; read -v", "length; read -v "},
		{"read 'a;' -v", "read 'a;' -v "},
		{"length ;i", "none"},
		{"!i", "none"},
		{"read -", ""},
		{"read -v", "read -v "},
		{"read -x", "none"},
		{"length -", "none"},
		{"open d", "open di"},
		{"open dis", "open disk.img "},
		{"open dir", "open dir/"},
		{"open -r di", ""},
		{"open my", "open 'my disk' "},
		{"open 'my", "open 'my disk' "},
		{`open "my d`, `open "my disk" `},
		{"open it", "open it's "},
		{"open 'it", `open "it's" `},
		{"open '#", "open '#1' "},
		{"open '\"", `open '"quoted"' `},
		{`open "\"q`, `open "\"quoted\"" `},
		{"open gr", ""}, // größer and groß differ in their third character
		{"open grö", "open größer "},
		{"open \x1b", "none"},
		{"use disk.img ", "none"},
		{"use disk", "use disk.img "},
		{"use -x disk", "use -x disk.img "},
		{"open 'a b' dis", "open 'a b' disk.img "},
		{"read --p", "read --pattern "},
		{"read --", ""},
		{"read --st", "read --style "},
		{"read --style x", "read --style xxd "},
		{"read --style=", ""},
		{"read --style=x", "read --style=xxd "},
		{"read '--p", "none"},
		{"! ", ""},
		{"! rea", "! read"},
		{"!rea", "!read"},
		{"!readv", "!readv "},
		{"? readv", "none"},
		{"? s", "? sizes "},
		{"? read --p", "? read --pattern "},
		{"! open dis", "! open disk.img "},
		{"'!' rea", "none"},
		{"open ~/d", "open /home/sam/disk "},
		{"open ~", "open /home/sam/disk "},
		{"open ~x", "none"},
		{"open '~/d", "none"},
	} {
		found := complete(names, c.before)
		got := "none"
		if len(found.choices) > 0 {
			got = ""
			if text := found.text(); text != "" {
				got = c.before[:found.start] + text
			}
		}
		if got != c.want {
			t.Errorf("%q becomes %q, want %q", c.before, got, c.want)
		}
	}
}

func FuzzComplete(f *testing.F) {
	f.Add("open 'my d", "my disk")
	f.Add(`use "\"`, `"a"`)
	f.Add("!us", "a")
	f.Fuzz(func(t *testing.T, before, name string) {
		found := complete(images{name}, before)
		if found.start < 0 || found.start > len(before) {
			t.Fatalf("the last word of %q starts at %d", before, found.start)
		}
		for _, c := range found.choices {
			if !strings.HasPrefix(c.Word, found.typed.text) || !printable(c.Word) {
				t.Errorf("%q offers %q", before, c.Word)
			}
		}
		if len(found.choices) == 0 || found.typed.text == "" {
			return
		}
		// What is completed reads as the word that was offered.
		text := found.text()
		if words := wordsOf(strings.TrimSuffix(text, " ")); len(found.choices) == 1 &&
			words[len(words)-1].text != found.choices[0].Word {
			t.Errorf("%q becomes %q, which is not %q", before, before[:found.start]+text,
				found.choices[0].Word)
		}
	})
}

func TestListing(t *testing.T) {
	t.Parallel()
	many := []Choice{}
	for range 2*longestList + 3 {
		many = append(many, Choice{Word: "1234567"})
	}
	if got := listing(many, 20); strings.Count(got, "\n") != longestList+1 ||
		!strings.HasSuffix(got, "and 3 more\n") {
		t.Errorf("%d lines, %q", strings.Count(got, "\n"), got[len(got)-20:])
	}
	if got := listing([]Choice{{Word: "größe"}, {Word: "b"}, {Word: "c"}},
		15); got != "größe  b\nc\n" {
		t.Errorf("%q", got)
	}
	if got := listing([]Choice{{"-P", "--long", "in several words"}, {Word: "-q"}},
		26); got != "-P, --long  in several\n            words\n-q\n" {
		t.Errorf("%q", got)
	}
	if got := listing([]Choice{{Word: "wider than this"}, {Word: "b"}},
		5); got != "wider than this\nb\n" {
		t.Errorf("%q", got)
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"disk.img", "disk.qcow2", ".hidden", "bad\x1b[31m",
		"not\xffutf",
	} {
		write(t, dir, name, "")
	}
	if err := os.Mkdir(filepath.Join(dir, "disks"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("disks", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "lost")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ prefix, want string }{
		{"", "disk.img disk.qcow2 disks/ link/ lost"},
		{"disk", "disk.img disk.qcow2 disks/"},
		{"l", "link/ lost"},
		{".", ".hidden"},
		{"x", ""},
		{"none/", ""},
	} {
		var want []string
		for _, name := range strings.Fields(c.want) {
			want = append(want, dir+"/"+name)
		}
		if got := FileNames(dir + "/" + c.prefix); !slices.Equal(got, want) {
			t.Errorf("%q: %q", c.prefix, got)
		}
	}
	if got := FileNames("complete_"); !slices.Equal(got, []string{"complete_test.go"}) {
		t.Errorf("in the working directory: %q", got)
	}
}
