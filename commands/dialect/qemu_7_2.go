package dialect

import (
	"io"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

// qemu72 is qemu-io of QEMU 7.2, measured on 7.2.22: no zones, no -r for registered buffers, its
// own reading of numbers.
func qemu72() Dialect {
	d := qemu()
	d.Specs = &specs72
	d.Policy.Numbers = args.QEMU72
	d.Policy.ExactDiscard = true
	d.Printer = func(out *print.Stdout, errs io.Writer, program string) session.Printer {
		return &print.QEMU{
			Out: out, Err: errs, Name: program, Times: units.ReportQEMU,
			HexWarning: true,
		}
	}
	d.Program.Version = version("7.2.22")
	return d
}

var specs72 = session.Specs{
	Newer: &specsQEMU,
	Removed: []string{
		"aio_discard", "zone_append", "zone_close", "zone_finish", "zone_open",
		"zone_report", "zone_reset",
	},
	Specs: []session.Spec{
		{
			Name: "aio_read", Args: "[-Ciqv] [-P pattern] off len [len..]",
			Short: "asynchronously reads a number of bytes",
			Min:   2, Max: any, Letters: "CP:iqv", Checks: vector,
		},
		{
			Name: "aio_write", Args: "[-Cfiquz] [-P pattern] off len [len..]",
			Short: "asynchronously writes a number of bytes",
			Min:   2, Max: any, Letters: "CfiP:quz", Checks: "z-single u-z " + vector,
		},
		{
			Name: "read", Args: "[-abCqv] [-P pattern [-s off] [-l len]] off len",
			Short: "reads a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "bCl:pP:qs:v",
			Checks: "off len limit part-of-pattern part machine-sectors",
		},
		{
			Name: "readv", Args: "[-Cqv] [-P pattern] off len [len..]",
			Short: "reads a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "CP:qv", Checks: vector,
		},
		{
			Name: "write", Args: "[-bcCfnquz] [-P pattern | -s source_file] off len",
			Short: "writes a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "bcCfnpP:qs:uz",
			Checks: "b-z f-bc n-z u-z one-source off len limit special-sectors",
		},
		{
			Name: "writev", Args: "[-Cfq] [-P pattern] off len [len..]",
			Short: "writes a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "CfqP:", Checks: vector,
		},
	},
}
