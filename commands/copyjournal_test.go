package commands_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands"
	"github.com/blksh/blksh/commands/event"
)

// begun is a copy of 1 MiB, and the first line of its journal.
func begun(t testing.TB) (commands.CopyRecord, string) {
	t.Helper()
	r := commands.CopyRecord{
		Version: 1, Source: "src.raw", Size: 1 << 20, Target: "dst.raw", Device: 5, Inode: 7,
		End: 1 << 20,
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(line) + "\n"
}

// TestCopyJournalLies: what a journal cannot say is refused in words that tell what it is.
func TestCopyJournalLies(t *testing.T) {
	want, first := begun(t)
	with := func(old, changed string) string { return strings.Replace(first, old, changed, 1) }
	for text, says := range map[string]string{
		"":                                          "nothing is recorded",
		first[:len(first)-1]:                        "nothing is recorded",
		"\x00\n":                                    "first line is no record",
		strings.Repeat("[", 50000) + "\n":           "first line is no record",
		strings.Repeat(" ", 70000) + "\n":           "longer than any",
		first + `{"done":-1}` + "\n":                "how far a copy came",
		first + `{"done":1048577}` + "\n":           "how far a copy came",
		first + `{"done":1e99}` + "\n":              "how far a copy came",
		first + "{\"done\":9}\n{}\n":                "how far a copy came",
		with("1", "2"):                              "another version",
		with(`"inode":7`, `"inode":8`):              "another file or device",
		with(`"inode":7`, `"inode":7,"shard":-1`):   "shard -1 of 0",
		with(`"size":1048576`, `"size":1`):          "1 byte long",
		with(`"inode":7`, `"inode":7,"bitmap":"b"`): "--bitmap b",
	} {
		size, done, err := commands.ReadCopy(strings.NewReader(text), want)
		said := fmt.Sprint(err)
		var refused *event.Failure
		if errors.As(err, &refused) {
			said = refused.Event.(event.Conflict).Message
		}
		if err == nil || !strings.Contains(said, says) {
			t.Errorf("%.60q: %d, %d, %s; want %s", text, size, done, said, says)
		}
	}
	want.End = 4096 // of a shard
	if _, _, err := commands.ReadCopy(
		strings.NewReader(first+`{"done":4097}`+"\n"), want); err == nil {
		t.Error("more is done than the shard has")
	}
	whole := first + `{"done":4096}` + "\n"
	for _, end := range []string{"", `{"done":8`, "\x00\x00"} {
		size, done, err := commands.ReadCopy(strings.NewReader(whole+end), want)
		if size != int64(len(whole)) || done != 4096 || err != nil {
			t.Errorf("behind %q: %d, %d, %v", end, size, done, err)
		}
	}
}

// FuzzCopyJournal: whatever a journal says, a copy goes on within the source, behind whole lines.
func FuzzCopyJournal(f *testing.F) {
	want, first := begun(f)
	f.Add(first + `{"done":0}` + "\n" + `{"done":4096}` + "\n{")
	f.Add(first + "null\n" + `{"done":1048577}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		size, done, err := commands.ReadCopy(strings.NewReader(text), want)
		if err == nil && (done < 0 || done > want.Size || size < 1 || size > int64(len(text)) ||
			text[size-1] != '\n') {
			t.Errorf("%d, %d", size, done)
		}
	})
}

// TestCopyKeepsJournal: a call that cannot begin leaves what an earlier copy noted.
func TestCopyKeepsJournal(t *testing.T) {
	const noted = `{"blksh_copy":1,"source":"src.raw","size":1048576}` + "\n"
	dir := t.TempDir()
	in(t, dir, nil, "create src.raw 1M", "create short.raw 4k", "create there.raw 1M")
	for line, want := range map[string]string{
		"copy -n src.raw missing.raw":              "missing.raw",
		"copy -n src.raw short.raw":                "too short",
		"copy -n -c src.raw there.raw":             "not compressed",
		"copy -n src.raw nbd+unix:///?socket=none": "Failed to connect",
	} {
		if err := os.WriteFile("journal", []byte(noted), 0o600); err != nil {
			t.Fatal(err)
		}
		said, status := in(t, dir, nil, line+" --journal journal")
		if status == 0 || !strings.Contains(said, want) || contents(t, "journal") != noted {
			t.Errorf("%s: %d, %s, and the journal has %q", line, status, said,
				contents(t, "journal"))
		}
	}
}
