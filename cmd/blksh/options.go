package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// qemuName is the name under which nothing but the original's options exist.
const qemuName = "qemu-io"

// options is what the words after the name of the program say.
type options struct {
	commands  []string
	image     *session.Opening // nil if no file is named
	imageOpts bool
	misalign  bool
	step      bool
	objects   map[string]any
	trace     *tracing // nil for none
	nativeOptions
}

// takeOwn takes --step and --dialect, written in full, out of the words of a program that is called
// qemu-io. They are not among its options, or those of the original could no longer be abbreviated
// as before.
func (p *program) takeOwn(argv []string) []string {
	rest := argv[:1:1]
	for i := 1; i < len(argv); i++ {
		name, value, joined := strings.Cut(argv[i], "=")
		switch {
		case argv[i] == "--":
			return append(rest, argv[i:]...)
		case argv[i] == "--step":
			p.options.step = true
		case name == "--dialect" && joined:
			p.asked = value
		case name == "--dialect" && i+1 < len(argv):
			i++
			p.asked = argv[i]
		default:
			rest = append(rest, argv[i])
		}
	}
	return rest
}

// parse reads the words after the name. An error is an exit, or a failure to be shown.
func (p *program) parse(argv []string) error {
	o := session.Opening{Cache: session.Cache{WriteThrough: true}, Options: &blockdev.Options{}}
	p.options.objects = map[string]any{}
	longs := p.dialect.Program.Longs
	if p.name != qemuName && p.dialect.Specs != nil {
		longs = append(longs[:len(longs):len(longs)], dialect.OwnOptions()...)
	}
	ofImage := "" // the first option that says how to open the image
	operands, err := p.each(argv, longs, func(letter byte, long, value string) error {
		before := o
		defer func() {
			if ofImage == "" && o != before {
				ofImage = spelled(letter, long)
			}
		}()
		if !p.native() {
			return p.option(&o, letter, long, value)
		}
		if !p.nativeOption(&o, letter, long, value) {
			if err := p.option(&o, letter, long, value); err != nil {
				return badChoice(letter, long, value, err)
			}
		}
		return p.notNameless(letter, long, value)
	})
	var bad *args.OptionError
	switch {
	case errors.As(err, &bad) && p.native():
		return badOption(bad)
	case errors.As(err, &bad):
		fmt.Fprintln(p.errs, bad.Message)
		return p.usage()
	case err != nil:
		return err
	case len(operands) > 0 && p.standsAlone(operands[0]):
		p.options.words, operands = operands, nil
	case len(operands) > 1 && p.native():
		p.options.words = operands[1:]
		if row := p.dialect.Table().Find(operands[1]); row != nil && len(operands) == 2 {
			o.Keyless = row.Keyless
		}
	case len(operands) > 1:
		return p.usage()
	}
	if err := p.settle(&o); err != nil {
		return err
	}
	if o.Format != "" && p.options.imageOpts {
		return event.FailReport(errors.New("--image-opts and -f are mutually exclusive"))
	}
	if len(operands) > 0 {
		return p.operand(&o, operands[0])
	}
	if ofImage != "" && p.native() {
		return event.Conflictf("%s says how to open the image that is named with it, and none is; "+
			"commands that open images have flags of their own", ofImage)
	}
	return nil
}

// spelled is an option as it is written.
func spelled(letter byte, long string) string {
	if letter != 0 {
		return "-" + string(letter)
	}
	return "--" + long
}

// operand is the image.
func (p *program) operand(o *session.Opening, word string) error {
	p.options.image = o
	if !p.options.imageOpts {
		o.Name = word
		return nil
	}
	o.Unnamed = true
	warnings, err := session.MergeOptions(o.Options, word)
	for _, w := range warnings {
		p.printer.Print(event.Where{}, w)
	}
	return err
}

// usage ends a start that went wrong.
func (p *program) usage() error {
	_, _ = io.WriteString(p.out, p.dialect.Program.Usage(p.name))
	return exit(max(1, p.dialect.Policy.Status(errors.New("usage"))))
}

// option takes one option. A later one wins over an earlier one.
func (p *program) option(o *session.Opening, letter byte, long, value string) (err error) {
	switch letter {
	case 'h':
		p.tell(p.dialect.Program.Usage(p.name))
		return exit(0)
	case 'V':
		p.tellVersion()
		return exit(0)
	case 'c':
		p.options.commands = append(p.options.commands, value)
	case 'f':
		o.Format = value
	case 'r':
		o.ReadOnly = true
	case 's':
		o.Snapshot = true
	case 'n':
		o.Cache.Direct, o.Cache.WriteThrough = true, false
	case 'C':
		o.CopyOnRead = true
	case 'm':
		p.options.misalign = true
	case 'k':
		o.AIO = "native"
	case 'i':
		o.AIO, err = session.ParseAIO(value)
	case 't':
		o.Cache, err = session.ParseCache(value)
	case 'd':
		var unmap bool
		unmap, err = session.ParseDiscard(value)
		o.Unmap = &unmap
	case 'T':
		return p.traceOption(value)
	case 'U':
		o.ForceShare = true
	default:
		return p.longOption(long, value)
	}
	return err
}

// longOption takes an option that has no letter.
func (p *program) longOption(long, value string) error {
	switch long {
	case "image-opts":
		p.options.imageOpts = true
	case "object":
		return p.object(value)
	case "step":
		p.options.step = true
	case "completion":
		return p.completion(value)
	case "licenses":
		p.tell(licenses)
		return exit(0)
	case "dialect": // chosen before
	default: // a leftover that is parsed and nothing else
		return p.usage()
	}
	return nil
}
