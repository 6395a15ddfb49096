// Package topics is what help tells about besides commands: how sizes and patterns are written,
// what the exit status means, and other things that belong to no single command.
//
// A topic is a text of its own, an example first. The shell shows it for "help NAME", the manual
// page has a section for it, and completion knows its name. To add one, write the text and name it
// in All. The dialects of QEMU have no topics.
package topics

import (
	_ "embed"

	"github.com/blksh/blksh/commands/session"
)

// The texts, one file each.
var (
	//go:embed dialects.txt
	dialects string
	//go:embed engines.txt
	engines string
	//go:embed json.txt
	json string
	//go:embed keys.txt
	keys string
	//go:embed names.txt
	names string
	//go:embed nbd.txt
	nbd string
	//go:embed patterns.txt
	patterns string
	//go:embed quoting.txt
	quoting string
	//go:embed reports.txt
	reports string
	//go:embed safety.txt
	safety string
	//go:embed scripts.txt
	scripts string
	//go:embed shards.txt
	shards string
	//go:embed settings.txt
	settings string
	//go:embed sizes.txt
	sizes string
	//go:embed status.txt
	status string
)

// All is every topic, sorted by name.
func All() []session.Topic {
	return []session.Topic{
		{Name: "dialects", Short: "the shells that this one can be", Text: dialects, Also: "qemu qemu-io"},
		{
			Name: "engines", Short: "how requests reach the kernel, and what is cached",
			Text: engines, Also: "aio cache direct io_uring",
		},
		{Name: "json", Short: "output for programs", Text: json, Also: "programs schema"},
		{Name: "keys", Short: "what the keys of the prompt do", Text: keys},
		{Name: "names", Short: "how images are named", Text: names, Also: "files images"},
		{Name: "nbd", Short: "disks of servers, and how to be one", Text: nbd, Also: "network"},
		{Name: "patterns", Short: "what -P writes and expects", Text: patterns},
		{Name: "quoting", Short: "how a line becomes words", Text: quoting, Also: "quotes"},
		{
			Name: "reports", Short: "pictures, and pages of what was found", Text: reports,
			Also: "report html svg draw pictures",
		},
		{Name: "safety", Short: "what is refused, and what lifts it", Text: safety, Also: "devices locks locking"},
		{
			Name: "scripts", Short: "many commands in a file, variables and loops", Text: scripts,
			Also: "script loops variables let repeat for if else time expect seed rand",
		},
		{Name: "settings", Short: "what holds at every prompt", Text: settings},
		{Name: "shards", Short: "several machines that do one thing", Text: shards},
		{Name: "sizes", Short: "how offsets, lengths and ranges are written", Text: sizes, Also: "units numbers offsets ranges"},
		{Name: "status", Short: "what the exit status says", Text: status, Also: "exit codes exit-codes exit-status"},
	}
}
