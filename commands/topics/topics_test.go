package topics_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/blksh/blksh/commands"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/topics"
)

// widest is how many columns a line of a topic may take.
const widest = 80

func TestTexts(t *testing.T) {
	all := topics.All()
	if !slices.IsSortedFunc(all,
		func(a, b session.Topic) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the topics are not sorted by name")
	}
	for _, topic := range all {
		if topic.Short == "" || !strings.HasPrefix(topic.Text, " Example:\n") ||
			!strings.HasSuffix(topic.Text, "\n") {
			t.Errorf("%s: a short text, an example or the last newline is missing", topic.Name)
		}
		for line := range strings.Lines(topic.Text) {
			line = strings.TrimSuffix(line, "\n")
			if line != "" && line[0] != ' ' || line != strings.TrimRight(line, " \t") {
				t.Errorf("%s: the line %q must begin with a blank and end without one", topic.Name,
					line)
			}
			if utf8.RuneCountInString(line) > widest {
				t.Errorf("%s: the line %q is longer than %d", topic.Name, line, widest)
			}
		}
	}
}

// TestNames wants names that help can tell from those of commands.
func TestNames(t *testing.T) {
	table := session.NewTable(commands.All(), nil)
	for _, topic := range topics.All() {
		if table.Find(topic.Name) != nil {
			t.Errorf("%s is a command as well", topic.Name)
		}
	}
}
