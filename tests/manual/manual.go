// Package manual computes what is written about the shell from what declares it: the manual page,
// the command reference of the pages, and the completions of other shells.
//
//	commands, flags  ─┐                ┌─▶ blksh.1
//	options, topics  ─┼─▶ Manual ──────┼─▶ pages, between two marks
//	drivers          ─┘                └─▶ completions for bash, zsh and fish
//
// The results are files of the repository, so that nobody needs this package but the test that
// writes them, and that fails when they are stale.
package manual

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/topics"
)

// Manual is everything that is known about the native dialect.
type Manual struct {
	Options []session.Option // of the process
	Table   *session.Table
	Topics  []session.Topic
	Drivers []blockdev.Driver
}

// New collects it.
func New() (*Manual, error) {
	d, ok := dialect.Find("native")
	if !ok {
		return nil, fmt.Errorf("there is no native dialect")
	}
	return &Manual{
		Options: dialect.NativeOptions(), Table: d.Table(), Topics: topics.All(),
		Drivers: drivers.All(),
	}, nil
}

// formats are the names that -f takes.
func (m *Manual) formats() []string {
	var names []string
	for _, d := range m.Drivers {
		if d.Kind == driver.Format {
			names = append(names, d.Name)
		}
	}
	return names
}

// called are the names of a command.
func called(row *session.Row) []string {
	if row.Alias == "" {
		return []string{row.Name}
	}
	return []string{row.Name, row.Alias}
}

// paragraph is a part of a help text between blank lines, without the blank that each line begins
// with.
type paragraph struct {
	lines []string
	// asIs: the lines are an example or a table, and must stay lines.
	asIs bool
}

// paragraphs takes a help text apart.
func paragraphs(text string) []paragraph {
	var list []paragraph
	for block := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		var p paragraph
		for line := range strings.SplitSeq(block, "\n") {
			line = strings.TrimPrefix(line, " ")
			p.lines = append(p.lines, line)
			p.asIs = p.asIs || strings.HasPrefix(line, "Example") ||
				strings.Contains(strings.TrimLeft(line, " "), "  ")
		}
		list = append(list, p)
	}
	return list
}
