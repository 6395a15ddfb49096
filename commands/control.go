package commands

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var help = session.Command{
	Name: "help", Alias: "?",
	Group: session.GroupShell, Paged: true,
	Args:  "[command | topic]",
	Short: "help for one or all commands",
	Long: ` Example:
 help read             what read does, and with which flags
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.OptWord("command", args.Topic, word(&name))
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			if name == "" {
				listHelp(s)
				return nil
			}
			return helpOn(s, name)
		}
	},
}

// listHelp shows what there is help on.
func listHelp(s *session.Session) {
	var list event.HelpList
	for _, section := range s.Table.Sections() {
		g := event.HelpGroup{Title: section.Group.Title()}
		for _, row := range section.Rows {
			synopsis := row.Synopsis(row.Name)
			synopsis.Alias = row.Alias
			g.Commands = append(g.Commands, synopsis)
		}
		list.Groups = append(list.Groups, g)
	}
	for _, topic := range s.Topics {
		list.Topics = append(list.Topics, event.HelpTopic{Name: topic.Name, Short: topic.Short})
	}
	s.Emit(list)
}

func topicNames(s *session.Session) []string {
	var names []string
	for _, topic := range s.Topics {
		names = append(names, topic.Name)
	}
	return names
}

// nearHelp are the names of what there is help on that a word may mean.
func nearHelp(s *session.Session, word string) []string {
	for _, topic := range s.Topics {
		if slices.Contains(strings.Fields(topic.Also), word) {
			return []string{"help " + topic.Name}
		}
	}
	return s.Table.Near(word, topicNames(s)...)
}

// helpOn shows the help on a command or a topic.
func helpOn(s *session.Session, name string) error {
	for _, topic := range s.Topics { // one of them has the name of a synonym
		if topic.Name == name {
			s.Emit(event.Synopsis{Name: name, Short: topic.Short})
			s.Emit(event.HelpBody{Text: topic.Text})
			return nil
		}
	}
	if row := s.Table.Find(name); row != nil {
		synopsis := row.Synopsis(name)
		if synopsis.Alias = row.Alias; name == row.Alias {
			synopsis.Alias = row.Name
		}
		s.Emit(synopsis)
		s.Emit(event.HelpBody{Text: row.Help()})
		return nil
	}
	return event.Fail(event.HelpUnknown{Name: name, Near: nearHelp(s, name)})
}

var quit = session.Command{
	Name: "quit", Alias: "q", Synonyms: []string{"bye", "exit"},
	Group: session.GroupShell,
	Short: "exit the program",
	Long: ` Example:
 quit                  waits for requests in the background, and leaves

 exit and bye do the same.
`,
	New: func(*session.Flags) session.Run {
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			s.End()
			return nil
		}
	},
}

// longestSleep is what a person can mean.
const longestSleep = 24 * time.Hour

var sleep = session.Command{
	Name:  "sleep",
	Group: session.GroupShell,
	Args:  "milliseconds",
	Short: "waits for the given value in milliseconds",
	Long: ` Example:
 sleep 1500            waits 1.5 seconds; requests in the background go on
 sleep 1.5s            the same; the units are ms, s and m
`,
	New: func(f *session.Flags) session.Run {
		var d time.Duration
		f.Duration(&d, "time")
		f.Check("longest", func() error {
			if d > longestSleep {
				return event.BadValuef("sleep takes at most a day, 86400000 milliseconds")
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			return s.Sleep(ctx, d)
		}
	},
}

var abort = session.Command{
	Name:  "abort",
	Group: session.GroupFaults,
	Short: "simulate a program crash using abort(3)",
	Long: ` Example:
 abort                 dies at once and writes out nothing
`,
	New: func(*session.Flags) session.Run {
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			s.Abort()
			return nil
		}
	},
}

// lastSignal is the highest number that is tried, C's NSIG.
const lastSignal = 65

var sigraise = session.Command{
	Name:  "sigraise",
	Group: session.GroupFaults,
	Args:  "signal",
	Short: "raises a signal",
	Long: ` Example:
 sigraise 9            dies as if another program had sent SIGKILL
`,
	New: func(f *session.Flags) session.Run {
		var signal int64
		word := ""
		f.Word("signal", args.Text("SIGNAL"), func(w string) (err error) {
			word = w
			signal, err = f.Number("signal", w)
			return err
		})
		f.Check("signal.limit", func() error {
			if signal > lastSignal {
				return event.BadValuef("signal argument '%s' is too large to be a valid signal",
					word)
			}
			return nil
		})
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			s.Printer.Flush()
			if signal > 0 && signal <= lastSignal {
				s.Raise(int(signal))
			}
			return nil
		}
	},
}
