package dialect

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/session"
)

// Version is our own version.
const Version = "0.1.0"

// The options of the process in the order in which the originals list them, which shows when an
// abbreviation is ambiguous.
func programQEMU() Program {
	return Program{
		Letters: "hVc:d:f:rsnCmki:t:T:U",
		Longs: []args.LongOption{
			{Name: "help", Letter: 'h'},
			{Name: "version", Letter: 'V'},
			{Name: "cmd", HasArg: true, Letter: 'c'},
			{Name: "format", HasArg: true, Letter: 'f'},
			{Name: "read-only", Letter: 'r'},
			{Name: "snapshot", Letter: 's'},
			{Name: "nocache", Letter: 'n'},
			{Name: "copy-on-read", Letter: 'C'},
			{Name: "misalign", Letter: 'm'},
			{Name: "native-aio", Letter: 'k'},
			{Name: "aio", HasArg: true, Letter: 'i'},
			{Name: "discard", HasArg: true, Letter: 'd'},
			{Name: "cache", HasArg: true, Letter: 't'},
			{Name: "trace", HasArg: true, Letter: 'T'},
			{Name: "force-share", Letter: 'U'},
			{Name: "object", HasArg: true},
			{Name: "image-opts"},
		},
		Version: version("11.1.3"),
		Usage:   usageQEMU,
	}
}

// program24 has two leftovers that are parsed and then refused: -g and --offset.
func program24() Program {
	return Program{
		Letters: "hVc:d:f:rsnmgkt:T:",
		Longs: []args.LongOption{
			{Name: "help", Letter: 'h'},
			{Name: "version", Letter: 'V'},
			{Name: "offset", HasArg: true},
			{Name: "cmd", HasArg: true, Letter: 'c'},
			{Name: "format", HasArg: true, Letter: 'f'},
			{Name: "read-only", Letter: 'r'},
			{Name: "snapshot", Letter: 's'},
			{Name: "nocache", Letter: 'n'},
			{Name: "misalign", Letter: 'm'},
			{Name: "native-aio", Letter: 'k'},
			{Name: "discard", HasArg: true, Letter: 'd'},
			{Name: "cache", HasArg: true, Letter: 't'},
			{Name: "trace", HasArg: true, Letter: 'T'},
		},
		TraceIsFile: true,
		Version:     version("2.4.0"),
		Usage:       usage24,
	}
}

// OwnOptions are the options about the program itself. They exist unless it was started under the
// name of another.
func OwnOptions() []args.LongOption {
	return []args.LongOption{{Name: "dialect", HasArg: true}, {Name: "step"}}
}

// version makes the version line of a program that does as version v does.
func version(v string) func(program string) string {
	return func(program string) string {
		return fmt.Sprintf("%s version %s (blksh %s)\n", program, v, Version)
	}
}

// usageLine is one option with its help. Value says what its value may be where that is more than
// any text; the words of an enumeration are no part of help.
type usageLine struct {
	option, help string
	value        args.Value
}

func usage(first, title string, lines []usageLine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n", first, title)
	for _, l := range lines {
		fmt.Fprintf(&b, "  %-20s %s\n", l.option, l.value.Help(l.help))
	}
	return b.String()
}

const usageTitle = "Reads, writes and examines disk images and block devices."

func usageQEMU(program string) string {
	return usage(fmt.Sprintf("Usage: %s [OPTIONS]... [-c STRING]... [file]", program), usageTitle,
		linesQEMU()) +
		fmt.Sprintf("\n'%s -c help' lists the available commands.\n", program)
}

func linesQEMU() []usageLine {
	return []usageLine{
		{option: "--object OBJECTDEF", help: "define an object, such as a secret that an image needs"},
		{option: "--image-opts", help: "the file is described by key=value,... and not by a name"},
		{option: "-c, --cmd STRING", help: "run this command; may be repeated", value: args.Command},
		{option: "-f, --format FMT", help: "do not guess the format of the file", value: args.Format},
		{option: "-r, --read-only", help: "open without permission to write"},
		{option: "-s, --snapshot", help: "writes go to a temporary overlay"},
		{option: "-n, --nocache", help: "bypass the page cache, as -t none"},
		{option: "-C, --copy-on-read", help: "copy what is read from a backing file"},
		{option: "-m, --misalign", help: "use buffers that begin 16 bytes behind a page"},
		{option: "-k, --native-aio", help: "as -i native"},
		{option: "-i, --aio=MODE", help: "how requests are made", value: args.Enum("MODE", session.AIOModes)},
		{option: "-t, --cache=MODE", help: "cache mode", value: args.Enum("MODE", session.CacheModes)},
		{option: "-d, --discard=MODE", help: "whether discards are passed on", value: args.Enum("MODE", session.DiscardModes)},
		{option: "-T, --trace SPEC", help: "[[enable=]PATTERN][,events=FILE][,file=FILE]"},
		{option: "-U, --force-share", help: "share the image with programs that write it"},
		{option: "-h, --help", help: "show this and leave"},
		{option: "-V, --version", help: "show the version and leave"},
	}
}

func usage24(program string) string {
	return usage(
		fmt.Sprintf("Usage: %s [-h] [-V] [-rsnm] [-f FMT] [-c STRING] ... [file]", program),
		usageTitle, []usageLine{
			{option: "-c, --cmd STRING", help: "run this command; may be repeated", value: args.Command},
			{option: "-f, --format FMT", help: "do not guess the format of the file", value: args.Format},
			{option: "-r, --read-only", help: "open without permission to write"},
			{option: "-s, --snapshot", help: "writes go to a temporary overlay"},
			{option: "-n, --nocache", help: "bypass the page cache, as -t none"},
			{option: "-m, --misalign", help: "use buffers that begin 16 bytes behind a page"},
			{option: "-k, --native-aio", help: "hand requests to the kernel (with -n)"},
			{option: "-t, --cache=MODE", help: "cache mode", value: args.Enum("MODE", session.CacheModes)},
			{option: "-T, --trace FILE", help: "trace the events that the file lists", value: args.File},
			{option: "-h, --help", help: "show this and leave"},
			{option: "-V, --version", help: "show the version and leave"},
		}) + fmt.Sprintf("\n'%s -c help' lists the available commands.\n", program)
}
