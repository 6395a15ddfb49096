package blockdev

import (
	"context"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// resolve finds the driver that the options or the name ask for, as far as that can be told without
// looking into the file, and turns the name of a protocol into options.
func (t *tree) resolve(s *spec) (*Driver, error) {
	if err := t.expandJSON(s); err != nil {
		return nil, err
	}
	inheritMode(s.options, s.inherits)
	var drv *Driver
	if v, ok := s.options.Get("driver"); ok {
		name, isText := v.(string)
		if !isText {
			return nil, driver.Refuse("Invalid parameter type for 'driver', expected: string")
		}
		if drv = t.driver(name); drv == nil {
			return nil, &driver.DriverError{Name: name, Names: t.driverNames()}
		}
		s.protocol = drv.Resolves == driver.Itself
	}
	parse := false
	if s.protocol && s.name != "" {
		if s.options.Has("filename") {
			return nil, driver.Refuse(
				"Can't specify 'file' and 'filename' options at the same time")
		}
		s.options.Set("filename", s.name)
		parse = true
	}
	if drv == nil && s.protocol {
		name := s.options.String("filename")
		if name == "" {
			return nil, driver.Refuse("Must specify either driver or file")
		}
		var err error
		if drv, err = t.findProtocol(name, parse); err != nil {
			return nil, err
		}
		s.options.Set("driver", drv.Name)
	}
	if drv != nil && s.protocol {
		if drv.ParseName != nil && parse { // the driver takes it apart
			s.options.Take("filename")
			if err := drv.ParseName(s.name, s.options); err != nil {
				return nil, err
			}
		}
		if name := s.options.String("filename"); name != "" {
			s.name = name
		}
	}
	return drv, t.askGate(drv, s)
}

// expandJSON turns a json: name into options, which those given win over.
func (t *tree) expandJSON(s *spec) error {
	if !strings.HasPrefix(s.name, jsonPrefix) {
		return nil
	}
	more, err := ParseJSONName(s.name)
	if err != nil {
		return err
	}
	if s.from != "" {
		if err := t.restrain(more, s); err != nil {
			return err
		}
	}
	for _, k := range more.Keys() {
		v, _ := more.Get(k)
		s.options.SetDefault(k, v)
	}
	s.name = ""
	return nil
}

// driverFor is the driver for a purpose, nil if there is none.
func (t *tree) driverFor(p driver.Purpose) *Driver {
	return t.first(func(d *Driver) bool { return d.Purpose == p })
}

func (t *tree) driver(name string) *Driver {
	return t.first(func(d *Driver) bool { return d.Name == name })
}

// first is the first driver that is as wanted, nil if none is.
func (t *tree) first(wanted func(*Driver) bool) *Driver {
	for i := range t.cfg.Drivers {
		if d := &t.cfg.Drivers[i]; wanted(d) {
			return d
		}
	}
	return nil
}

// driverNames lists all drivers.
func (t *tree) driverNames() (list []string) {
	for i := range t.cfg.Drivers {
		list = append(list, t.cfg.Drivers[i].Name)
	}
	slices.Sort(list)
	return list
}

// ProtocolOf is the protocol that the form of a name chooses among drivers, nil if it names one
// that none of them is. A json: name is not looked into.
func ProtocolOf(name string, drivers []Driver) *Driver {
	t := &tree{cfg: OpenConfig{Drivers: drivers}}
	d, err := t.findProtocol(name, true)
	if err != nil {
		return nil
	}
	return d
}

// findProtocol chooses by the kind of file, then by the prefix of the name, then takes files.
func (t *tree) findProtocol(name string, prefixes bool) (*Driver, error) {
	best := t.best(func(d *Driver) int {
		if d.ProbePath == nil {
			return 0
		}
		return d.ProbePath(name)
	})
	if best != nil {
		return best, nil
	}
	scheme, ok := driver.SplitPrefix(name)
	if !ok || !prefixes {
		scheme = "file"
	}
	d := t.first(func(d *Driver) bool { return slices.Contains(d.Schemes, scheme) })
	if d == nil {
		return nil, driver.Refuse("Unknown protocol '%s'", scheme)
	}
	return d, nil
}

// probeSize is how much of a file format drivers may look at, in bytes.
const probeSize = 512

// anyScore is the score of a format that takes what no other does.
const anyScore = 1

// guess asks every format for its score on the head of the file that n stands on.
func (t *tree) guess(ctx context.Context, n, file *treeNode) (*Driver, error) {
	head := make([]byte, min(probeSize, roundUp(file.guard.Info().Size, SectorSize)))
	if len(head) > 0 {
		if err := file.guard.ReadVec(ctx, Vec{head}, 0, 0); err != nil {
			return nil, driver.Refuse("Could not read image for determining its format: %w",
				driver.Spoken(err))
		}
	}
	d, foreign := t.probe(head, file.filename)
	if foreign == nil && (d == nil || d.Probe(head, file.filename) <= anyScore) {
		foreign = t.foreignTail(ctx, file)
	}
	if foreign != nil {
		return nil, &ForeignFormatError{
			Format: foreign.name, Words: foreign.words,
			Image: n.filename, Depth: n.depth,
		}
	}
	if d != nil {
		return d, nil
	}
	return nil, driver.Refuse("Could not determine image format: No compatible driver found")
}

// checkFormat refuses a file that is not of n's format.
func (t *tree) checkFormat(ctx context.Context, n, file *treeNode) error {
	d, err := t.guess(ctx, n, file)
	if err == nil && d != n.driver {
		err = driver.Refuse("'%s' is an image of the format %s, and not %s", n.filename, d.Name,
			n.driver.Name)
	}
	return err
}

// probe is the driver whose format head looks like, unless it only takes what no other does and
// head is of a format without a driver.
func (t *tree) probe(head []byte, name string) (*Driver, *foreignFormat) {
	score := func(d *Driver) (n int) {
		if d.Probe != nil {
			n = d.Probe(head, name)
		}
		if d.ProbeBeyond != nil && !t.cfg.LikeQEMU {
			n = max(n, d.ProbeBeyond(head, name))
		}
		return n
	}
	d := t.best(score)
	if d == nil || score(d) <= anyScore {
		if f := t.foreignHead(head, name); f != nil {
			return nil, f
		}
	}
	return d, nil
}

// best is the first of the drivers with the highest score above 0, nil if there is none.
func (t *tree) best(score func(*Driver) int) (best *Driver) {
	most := 0
	for i := range t.cfg.Drivers {
		d := &t.cfg.Drivers[i]
		if n := score(d); n > most {
			best, most = d, n
		}
	}
	return best
}
