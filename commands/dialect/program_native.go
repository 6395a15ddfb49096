package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
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
	{Name: "no-rc"},
	{Name: "json"},
	{Name: "color", HasArg: true},
	{Name: "script", HasArg: true},
	{Name: "keep-going"},
	{Name: "deterministic"},
	{Name: "completion", HasArg: true},
	{Name: "licenses"},
}

func linesNative() []usageLine {
	lines := linesQEMU()
	for i := range lines { // QEMU's lines write some values so and some so
		lines[i].option = strings.ReplaceAll(lines[i].option, "=", " ")
	}
	return append(lines, []usageLine{
		{option: "-w, --write", help: "write to block devices, which are only read otherwise"},
		{option: "--in-use", help: "write to what others use as well, such as a mounted device"},
		{option: "--allow-backing-device", help: "let the image name a device as what it stands on"},
		{option: "--share", help: "as -U: what others write may be opened, and they may write"},
		{
			option: "--undo FILE", value: args.File,
			help: "note there what is changed, so that 'undo FILE' puts it back",
		},
		{option: "--strict", help: "refuse writes that are not made of whole blocks, as with -n"},
		{option: "--rmw", help: "take such writes: read, change and write whole blocks"},
		{option: "--no-rc", help: "at a prompt, do not read the settings of ~/.config/blksh/rc"},
		{option: "--yes", help: "do not ask before a device is changed"},
		{option: "--json", help: "an object for each event, a line each, and nothing else"},
		{
			option: "--color WHEN", value: args.Enum("WHEN", colour.Choices),
			help: "paint what is shown",
		},
		{option: "--script FILE", help: "run the commands of a file, - for the standard input", value: args.File},
		{option: "--keep-going", help: "do not stop at the first command that fails"},
		{option: "--deterministic", help: "tell no times and rates, and draw the same numbers in each run"},
		{option: "--dialect NAME", help: "how to speak", value: args.Enum("NAME", Names)},
		{option: "--step", help: "a command ends when every request stands still"},
		{option: "--completion SHELL", help: "print a script that completes words", value: args.Enum("SHELL", shells)},
		{option: "--licenses", help: "print the notices of what the program is made of"},
	}...)
}

func usageNative(program string) string {
	return usage(fmt.Sprintf("Usage: %s [OPTIONS]... [FILE [COMMAND [WORD]...]]", program), usageTitle, linesNative()) + fmt.Sprintf(`
Examples:
  %[1]s disk.img                     a prompt, with help for each command
  %[1]s disk.img read -v 0 512       one command
  %[1]s check disk.img               one that needs no open image
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

// shells are those that completions are made for.
func shells() []string { return []string{"bash", "fish", "zsh"} }

// parse takes "-t, --cache=MODE" apart.
func (l usageLine) parse() session.Option {
	o := session.Option{Help: l.help, Value: l.value}
	words, value, _ := strings.Cut(strings.ReplaceAll(l.option, "=", " "), "--")
	if words != "" {
		o.Letter = words[1]
	}
	o.Long, o.Value.Name, _ = strings.Cut(value, " ")
	return o
}
