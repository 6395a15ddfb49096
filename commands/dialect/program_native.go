package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/session"
)

// programNative knows what qemu-io's newest knows, and more. Its options end at the first operand,
// the file, so that what stands behind that one can be a command with flags of its own.
func programNative() Program {
	newest := programQEMU()
	return Program{
		Letters: "+w" + newest.Letters,
		Longs:   slices.Concat(newest.Longs, longsNative, OwnOptions()),
		Usage:   usageNative,
	}
}

var longsNative = []args.LongOption{
	{Name: "write", Letter: 'w'},
	{Name: "share", Letter: 'U'},
	{Name: "in-use"},
	{Name: "allow-backing-device"},
	{Name: "undo", HasArg: true},
	{Name: "strict"},
	{Name: "rmw"},
	{Name: "yes"},
	{Name: "json"},
	{Name: "script", HasArg: true},
	{Name: "keep-going"},
	{Name: "completion", HasArg: true},
	{Name: "licenses"},
}

func linesNative() []usageLine {
	return slices.Concat(linesQEMU(), []usageLine{
		{"-w, --write", "write to block devices, which are only read otherwise"},
		{"--in-use", "write to what others use as well, such as a mounted device"},
		{"--allow-backing-device", "let the image name a device as what it stands on"},
		{"--share", "as -U: what others write may be opened, and they may write"},
		{"--undo FILE", "note there what is changed, so that 'undo FILE' puts it back"},
		{"--strict", "refuse writes that are not made of whole blocks, as with -n"},
		{"--rmw", "take such writes: read, change and write whole blocks"},
		{"--yes", "do not ask before a device is changed"},
		{"--json", "an object for each event, a line each, and nothing else"},
		{"--script FILE", "run the commands of a file, - for the standard input"},
		{"--keep-going", "do not stop at the first command that fails"},
		{"--dialect NAME", "speak as native, qemu, qemu-7.2 or qemu-2.4"},
		{"--step", "a command ends when every request stands still"},
		{"--completion SHELL", "print a script that completes words: bash, fish or zsh"},
		{"--licenses", "print the notices of what the program is made of"},
	})
}

func usageNative(program string) string {
	return usage(fmt.Sprintf("Usage: %s [OPTIONS]... [FILE [COMMAND [WORD]...]]", program), usageTitle, linesNative()) + fmt.Sprintf(`
Examples:
  %[1]s disk.img                     a prompt, with help for each command
  %[1]s disk.img read -v 0 512       one command
  %[1]s -r -c 'map' -c 'read -P 0 0 1M' disk.img

Exit status: 0 fine, 1 the data is not as expected, 2 usage, 3 cannot open, 4 locked or in use, 5 I/O error, 130 interrupted,
141 standard output is not read to its end.
'%[1]s -c help' lists the available commands.
`, program)
}

// NativeOptions lists the options of the process, for completion and the manual.
func NativeOptions() []session.Option {
	var list []session.Option
	for _, l := range linesNative() {
		list = append(list, l.parse())
	}
	return list
}

// parse takes "-t, --cache=MODE" apart.
func (l usageLine) parse() session.Option {
	o := session.Option{Help: l.help}
	words, value, _ := strings.Cut(strings.ReplaceAll(l.option, "=", " "), "--")
	if words != "" {
		o.Letter = words[1]
	}
	o.Long, o.Value, _ = strings.Cut(value, " ")
	return o
}
