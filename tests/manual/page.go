package manual

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/session"
)

// pageDate is when the words of the manual page that are in this file last changed. The rest is as
// old as the release.
const pageDate = "2026-11-22"

// exitTopic has a section of its own, where readers of manual pages look for it.
const exitTopic = "exit"

// Page is the manual page, in the macros of man(7).
func (m *Manual) Page() []byte {
	p := &page{}
	p.text(fmt.Sprintf(`.TH BLKSH 1 "%s" "blksh %s" "User Commands"`, pageDate, dialect.Version))
	p.macro("SH", "NAME")
	p.text(`blksh \- a shell for block devices and disk images`)
	p.macro("SH", "SYNOPSIS")
	p.text(`\fBblksh\fR [\fIOPTIONS\fR]... [\fIFILE\fR [\fICOMMAND\fR [\fIWORD\fR]...]]`)
	p.macro("SH", "DESCRIPTION")
	p.prose(description)
	p.macro("SH", "OPTIONS")
	p.flags(m.Options)
	p.macro("SH", "COMMANDS BY KIND")
	for _, section := range m.Table.Sections() {
		p.section(section)
	}
	p.macro("SH", "COMMANDS")
	for _, row := range m.Table.Rows() {
		p.command(row)
	}
	for _, topic := range m.Topics {
		if topic.Name == exitTopic {
			p.macro("SH", "EXIT STATUS")
			p.prose(topic.Text)
		}
	}
	p.macro("SH", "TOPICS")
	for _, topic := range m.Topics {
		if topic.Name != exitTopic {
			p.macro("SS", topic.Name+": "+topic.Short)
			p.prose(topic.Text)
		}
	}
	p.macro("SH", "DRIVERS")
	p.prose(aboutDrivers)
	p.keys("Options of every layer:", driver.KeysOf(driver.NodeConfig{}))
	for _, d := range m.Drivers {
		p.driver(d)
	}
	p.macro("SH", "ENVIRONMENT")
	p.terms(environment)
	p.macro("SH", "FILES")
	p.terms(files)
	p.macro("SH", "SEE ALSO")
	p.text(`\fBqemu\-img\fR(1), \fBfio\fR(1), \fBxfs_io\fR(8), \fBlsblk\fR(8)`)
	return p.Bytes()
}

const description = ` Example:
 blksh disk.img                          a prompt; help lists the commands
 blksh disk.img read -v 0 512            one command
 blksh -c 'write -P 7 0 1M' -c 'read -P 7 0 1M' mem:64M

 blksh reads, writes, checks and maps disk images and block devices, by hand, from shell scripts and from test suites. It
 takes the commands of qemu-io and adds others.

 Options stand before FILE. What stands behind it is one command with its words. A command that needs no image, such as
 help, create or copy, stands alone, unless a file has its name. Without a command, and without -c and --script, commands are
 read from standard input, one a line; on a terminal there is a prompt with history and completion.

 Started under the name qemu-io it is a drop-in for QEMU's program of that name: same options, commands, messages, streams
 and exit status.
`

const aboutDrivers = ` Example:
 blksh --image-opts driver=raw,offset=1M,file.driver=file,file.filename=disk.img

 An image is a stack of layers, each of which a driver makes. The options below are given as -o to open and reopen, in
 json:{...} names and with --image-opts; those of a layer below stand behind the name that the layer above has for it and a
 dot. LAYER is such a layer, or the node-name of one.
`

// A term is something with an explanation.
type term struct{ name, text string }

var environment = []term{
	{"BLKSH_DIALECT", "the dialect, unless --dialect names one: native, qemu, qemu-7.2 or qemu-2.4"},
	{"HOME, XDG_STATE_HOME", "where the history is; without HOME there is none"},
	{"COLUMNS", "width of what is drawn where standard output is no terminal; without it 80"},
	{"LC_ALL, LC_CTYPE, LANG", "whether what is drawn may be more than ASCII: in locales of UTF-8"},
	{"NO_COLOR", "set to anything, nothing is painted unless --color=always asks for it"},
	{"TMPDIR", "where the temporary overlays of -s are; /var/tmp without it"},
}

var files = []term{
	{"$XDG_CONFIG_HOME/blksh/rc", "settings of the prompt; XDG_CONFIG_HOME is ~/.config if it is not set"},
	{"$XDG_STATE_HOME/blksh/history", "the lines typed at the prompt; XDG_STATE_HOME is ~/.local/state if it is not set"},
	{"$XDG_STATE_HOME/blksh/undo/", "what edit keeps for undo, a file for each time that it wrote"},
}

// page is a text in the macros of man(7).
type page struct{ bytes.Buffer }

// macro writes a request with its arguments, which are plain text.
func (p *page) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, a := range args {
		p.WriteString(` "` + strings.ReplaceAll(escape(a), `"`, `\(dq`) + `"`)
	}
	p.WriteByte('\n')
}

// text writes a line that is escaped already.
func (p *page) text(line string) { p.WriteString(line + "\n") }

// plain writes a line of plain text.
func (p *page) plain(line string) {
	line = escape(line)
	if line != "" && strings.IndexByte(".'", line[0]) >= 0 {
		line = `\&` + line
	}
	p.text(line)
}

// prose writes a help text.
func (p *page) prose(text string) {
	for i, para := range paragraphs(text) {
		if i > 0 {
			p.text(".PP")
		}
		if para.asIs {
			p.literal(para.lines)
			continue
		}
		p.fill(strings.Join(para.lines, " "))
	}
}

// widest is how long a line of filled text gets, in bytes.
const widest = 78

// fill writes plain text whose line breaks do not matter.
func (p *page) fill(text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(escape(line+" "+word)) > widest {
			p.plain(line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	p.plain(line)
}

func (p *page) literal(lines []string) {
	p.text(".nf")
	for _, line := range lines {
		p.plain(line)
	}
	p.text(".fi")
}

func (p *page) terms(list []term) {
	for _, t := range list {
		p.text(".TP")
		p.text(`\fB` + escape(t.name) + `\fR`)
		p.fill(t.text)
	}
}

// section lists the commands of a group.
func (p *page) section(s session.Section) {
	var names []string
	for _, row := range s.Rows {
		names = append(names, `\fB`+escape(row.Name)+`\fR`)
	}
	p.text(".TP")
	p.plain(s.Group.Title())
	p.text(strings.Join(names, ",\n"))
}

func (p *page) command(row *session.Row) {
	p.macro("SS", strings.Join(called(row), ", "))
	if args := strings.TrimSpace(row.Usage()); args != "" {
		p.text(fmt.Sprintf(`\fB%s\fR %s`, escape(row.Name), escape(args)))
		p.text(".PP")
	}
	p.fill(sentence(row.Short))
	p.text(".PP")
	p.prose(row.Text())
	p.flags(row.Options())
}

func (p *page) flags(options []session.Option) {
	for _, o := range options {
		var words []string
		for _, w := range o.Spellings() {
			words = append(words, `\fB`+escape(w)+`\fR`)
		}
		head := strings.Join(words, ", ")
		if o.Value.Name != "" {
			head += ` \fI` + escape(o.Value.Name) + `\fR`
		}
		p.text(".TP")
		p.text(head)
		p.fill(o.Text())
	}
}

// escape makes plain text of what roff would take for something else.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "'",
		`\(aq`).Replace(s)
}

// sentence is a phrase with a capital letter and a full stop.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
