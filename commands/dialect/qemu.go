package dialect

import (
	"io"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

// qemu is qemu-io of QEMU 11.1, measured on 11.1.3, 10.0.2 and 8.2.7.
func qemu() Dialect {
	return Dialect{
		Specs: &specsQEMU,
		Policy: session.Policy{
			Split: splitSpaces, Numbers: args.QEMU, Pattern: patternByte, Times: args.Milliseconds,
			MaxRequest: blockdev.MaxRequest, MaxLine: 1023,
			AskPermission: true, InterruptKills: true, Locks: true, OpenUnmaps: true,
			LikeQEMU: true,
			Status:   func(error) int { return 1 },
		},
		Printer: func(out *print.Stdout, errs io.Writer, program string) session.Printer {
			return &print.QEMU{Out: out, Err: errs, Name: program, Times: units.ReportQEMU}
		},
		Program: programQEMU(),
	}
}

// The parts of checks that several commands share.
const (
	vector = "off lens lens.limit lens.total sum"
	any    = -1
)

var specsQEMU = session.Specs{
	Specs: []session.Spec{
		{Name: "abort", Short: "simulate a program crash using abort(3)"},
		{Name: "aio_flush", Short: "completes all outstanding aio requests"},
		{
			Name: "aio_discard", Args: "[-Cq] off len",
			Short: "asynchronously discards a number of bytes",
			Min:   2, Max: any, Letters: "Cq", Checks: "off len",
		},
		{
			Name: "aio_read", Args: "[-Ciqrv] [-P pattern] off len [len..]",
			Short: "asynchronously reads a number of bytes",
			Min:   2, Max: any, Letters: "CP:iqrv", Checks: vector,
		},
		{
			Name: "aio_write", Args: "[-Cfiqruz] [-P pattern] off len [len..]",
			Short: "asynchronously writes a number of bytes",
			Min:   2, Max: any, Letters: "CfiP:qruz", Checks: "z-single u-z " + vector + " z-r",
		},
		{
			Name: "alloc", Args: "offset [count]",
			Short: "checks if offset is allocated in the file",
			Min:   1, Max: 2, Checks: "off len",
		},
		{
			Name: "break", Args: "event tag",
			Short: "sets a breakpoint on event and tags the stopped request as tag",
			Min:   2, Max: 2, Checks: "event tag",
		},
		{Name: "close", Short: "close the current open file"},
		{
			Name: "discard", Args: "[-Cq] off len",
			Short: "discards a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "Cq", Checks: "off len limit",
		},
		{Name: "flush", Short: "flush all in-core file state to disk"},
		{Name: "help", Args: "[command]", Short: "help for one or all commands", Max: 1, Checks: "command"},
		{Name: "info", Short: "prints information about the current file", Checks: "sizes"},
		{Name: "length", Short: "gets the length of the current file"},
		{Name: "map", Args: " ", Short: "prints the allocated areas of a file", Checks: "by-allocation"},
		{
			Name: "open", Args: "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]",
			Short: "open the file specified by path",
			Min:   1, Max: any, Letters: "snCro:ki:t:d:U", Checks: "path",
		},
		{Name: "quit", Short: "exit the program", Max: any, Loose: true},
		{
			Name: "read", Args: "[-abCqrv] [-P pattern [-s off] [-l len]] off len",
			Short: "reads a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "bCl:pP:qrs:v",
			Checks: "off len limit part-of-pattern part machine-sectors b-r",
		},
		{
			Name: "readv", Args: "[-Cqrv] [-P pattern] off len [len..]",
			Short: "reads a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "CP:qrv", Checks: vector,
		},
		{Name: "remove_break", Args: "tag", Short: "remove a breakpoint by tag", Min: 1, Max: 1, Checks: "tag"},
		{
			Name: "reopen", Args: "[(-r|-w)] [-c cache] [-o options]",
			Short: "reopens an image with new options",
			Max:   any, Letters: "c:o:rw",
		},
		{Name: "resume", Args: "tag", Short: "resumes the request tagged as tag", Min: 1, Max: 1, Checks: "tag"},
		{Name: "sigraise", Args: "signal", Short: "raises a signal", Min: 1, Max: 1, Checks: "signal signal.limit"},
		{Name: "sleep", Short: "waits for the given value in milliseconds", Min: 1, Max: 1, Checks: "time"},
		{
			Name: "truncate", Args: "[-m prealloc_mode] off",
			Short: "truncates the current file at the given offset",
			Min:   1, Max: 3, Letters: "m:", Checks: "off", Loose: true,
		},
		{Name: "wait_break", Args: "tag", Short: "waits for the suspension of a request", Min: 1, Max: 1, Checks: "tag"},
		{
			Name: "write", Args: "[-bcCfnqruz] [-P pattern | -s source_file] off len",
			Short: "writes a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "bcCfnpP:qrs:uz",
			Checks: "b-z f-bc n-z u-z one-source off len limit special-sectors z-r",
		},
		{
			Name: "writev", Args: "[-Cfqr] [-P pattern] off len [len..]",
			Short: "writes a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "CfqrP:", Checks: vector,
		},
		{
			Name: "zone_append", Args: "offset len [len..]",
			Short: "append write a number of bytes at a specified offset",
			Min:   3, Max: 4, Letters: "p", Checks: vector,
		},
		{
			Name: "zone_close", Args: "offset len",
			Short: "close a range of zones in zone block device",
			Min:   2, Max: 2, Checks: "off len",
		},
		{
			Name: "zone_finish", Args: "offset len",
			Short: "finish a range of zones in zone block device",
			Min:   2, Max: 2, Checks: "off len",
		},
		{
			Name: "zone_open", Args: "offset len",
			Short: "explicit open a range of zones in zone block device",
			Min:   2, Max: 2, Checks: "off len",
		},
		{
			Name: "zone_report", Args: "offset number", Short: "report zone information",
			Min: 2, Max: 2, Checks: "off number number.limit",
		},
		{
			Name: "zone_reset", Args: "offset len",
			Short: "reset a zone write pointer in zone block device",
			Min:   2, Max: 2, Checks: "off len",
		},
	},
}
