package dialect

import (
	"io"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

// qemu24 is qemu-io of QEMU 2.4.0: sectors, numbers as strtod reads them, no exit status, and an
// open that fails ends it.
func qemu24() Dialect {
	d := qemu72()
	d.Specs = &specs24
	d.Policy.Numbers = args.QEMU24
	d.Policy.AskPermission = false
	d.Policy.Locks = false
	d.Policy.OpenUnmaps = false
	d.Policy.PasswordLine = true
	d.Policy.OpenFailureEnds = true
	d.Policy.StartWithout = true
	d.Policy.AIOFallback = true
	d.Policy.Understands = understands24
	d.Policy.Status = func(error) int { return 0 }
	d.Printer = func(out *print.Stdout, errs io.Writer, program string) session.Printer {
		return &print.QEMU24{QEMU: print.QEMU{
			Out: out, Err: errs, Name: program,
			Times: units.ReportQEMU24,
		}}
	}
	d.Program = program24()
	return d
}

// understands24 refuses the features of qcow2 that came later, by what an image tells of itself.
func understands24(d *blockdev.Device) error {
	for _, detail := range d.Describe() {
		feature := ""
		switch {
		case detail.Key == "extended l2" && detail.Value == true:
			feature = "extended L2 entries"
		case detail.Key == "compression type" && detail.Value == "zstd":
			feature = "compression type"
		case detail.Key == "data file":
			feature = "external data file"
		}
		if feature != "" {
			return &driver.UnsupportedError{Format: "qcow2", Features: feature}
		}
	}
	return nil
}

const vector24 = "off off.sector lens lens.int lens.sector sum"

var specs24 = session.Specs{
	Newer:   &specs72,
	Removed: []string{"reopen"},
	Specs: []session.Spec{
		{
			Name: "aio_read", Args: "[-Cqv] [-P pattern ] off len [len..]",
			Short: "asynchronously reads a number of bytes",
			Min:   2, Max: any, Letters: "CP:qv", Checks: vector24,
		},
		{
			Name: "aio_write", Args: "[-Cq] [-P pattern ] off len [len..]",
			Short: "asynchronously writes a number of bytes",
			Min:   2, Max: any, Letters: "CqP:", Checks: vector24,
		},
		{
			Name: "alloc", Args: "off [sectors]",
			Short: "checks if a sector is present in the file",
			Min:   1, Max: 2, Checks: "off off.sector in-sectors len", Narrow: "len",
		},
		{
			Name: "discard", Args: "[-Cq] off len",
			Short: "discards a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "Cq", Checks: "off len whole-sectors", Narrow: "len",
		},
		{
			Name: "multiwrite", Args: "[-Cq] [-P pattern ] off len [len..] [; off len [len..]..]",
			Short: "issues multiple write requests at once",
			Min:   2, Max: any, Letters: "CqP:",
			Checks: "requests split off.sector lens.int lens.sector", UsageOf: "writev",
		},
		{
			Name: "open", Args: "[-Crsn] [-o options] [path]",
			Short: "open the file specified by path",
			Min:   1, Max: any, Letters: "snrgo:", Checks: "g-is-none path",
		},
		{
			Name: "read", Args: "[-abCpqv] [-P pattern [-s off] [-l len]] off len",
			Short: "reads a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "bCl:pP:qs:v",
			Checks: "b-p off len part-of-pattern part sectors", Narrow: "len l s",
		},
		{
			Name: "readv", Args: "[-Cqv] [-P pattern ] off len [len..]",
			Short: "reads a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "CP:qv", Checks: vector24,
		},
		{Name: "sigraise", Args: "signal", Short: "raises a signal", Min: 1, Max: 1, Checks: "signal", Narrow: "signal"},
		{
			Name: "truncate", Args: "off", Short: "truncates the current file at the given offset",
			Min: 1, Max: 1, Checks: "off writable grow-only",
		},
		{
			Name: "write", Args: "[-bcCpqz] [-P pattern ] off len",
			Short: "writes a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "bcCpP:qz",
			Checks: "b-p-z z-P off len sectors p-is-plain compresses one-cluster",
			Narrow: "len",
		},
		{
			Name: "writev", Args: "[-Cq] [-P pattern ] off len [len..]",
			Short: "writes a number of bytes at a specified offset",
			Min:   2, Max: any, Letters: "CqP:", Checks: vector24,
		},
	},
}
