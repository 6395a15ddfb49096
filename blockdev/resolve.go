package blockdev

import (
	"context"
	"strings"
)

// resolve finds the driver that the options or the name ask for, as far as that can be told without looking into the file, and turns
// the name of a protocol into options.
func (t *tree) resolve(s *spec) (*Driver, error) {
	if err := s.expandJSON(); err != nil {
		return nil, err
	}
	var drv *Driver
	if v, ok := s.options.Get("driver"); ok {
		name, isText := v.(string)
		if !isText {
			return nil, typeError("driver", "string")
		}
		if drv = t.driver(name); drv == nil {
			return nil, Refuse("Unknown driver '%s'", name)
		}
		s.protocol = drv.Kind != Format && !drv.overFile()
	}
	parse := false
	if s.protocol && s.name != "" {
		if s.options.Has("filename") {
			return nil, Refuse("Can't specify 'file' and 'filename' options at the same time")
		}
		s.options.Set("filename", s.name)
		parse = true
	}
	if drv == nil && s.protocol {
		name := s.options.String("filename")
		if name == "" {
			return nil, Refuse("Must specify either driver or file")
		}
		var err error
		if drv, err = t.findProtocol(name, parse); err != nil {
			return nil, err
		}
		s.options.Set("driver", drv.Name)
	}
	if drv != nil && s.protocol {
		if err := parseProtocolName(drv, s.options, parse); err != nil {
			return nil, err
		}
		if name := s.options.String("filename"); name != "" {
			s.name = name
		}
	}
	return drv, nil
}

// parseProtocolName lets the driver take its file name apart.
func parseProtocolName(drv *Driver, o *Options, parse bool) error {
	if drv.ParseName == nil || !parse {
		return nil
	}
	name, _ := o.Take("filename")
	text, _ := name.(string)
	return drv.ParseName(text, o)
}

func (d *Driver) overFile() bool { return d.Kind == FilterKind && d.declares("file") }

func (d *Driver) declares(key string) bool {
	for _, k := range d.Keys {
		if k.Name == key {
			return true
		}
	}
	return false
}

// expandJSON turns a json: name into options, which those given win over.
func (s *spec) expandJSON() error {
	if !strings.HasPrefix(s.name, jsonPrefix) {
		return nil
	}
	more, err := ParseJSONName(s.name)
	if err != nil {
		return err
	}
	for _, k := range more.Keys() {
		v, _ := more.Get(k)
		s.options.SetDefault(k, v)
	}
	s.name = ""
	return nil
}

func (t *tree) driver(name string) *Driver {
	for i := range t.cfg.Drivers {
		if t.cfg.Drivers[i].Name == name {
			return &t.cfg.Drivers[i]
		}
	}
	return nil
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
	scheme, ok := protocolPrefix(name)
	if !ok || !prefixes {
		scheme = "file"
	}
	for i := range t.cfg.Drivers {
		for _, s := range t.cfg.Drivers[i].Schemes {
			if s == scheme {
				return &t.cfg.Drivers[i], nil
			}
		}
	}
	return nil, Refuse("Unknown protocol '%s'", scheme)
}

// protocolPrefix is what stands before the first colon, unless a slash comes earlier.
func protocolPrefix(name string) (string, bool) {
	i := strings.IndexAny(name, ":/")
	if i <= 0 || name[i] != ':' {
		return "", false
	}
	return name[:i], true
}

// probeSize is how much of a file format drivers may look at, in bytes.
const probeSize = 2048

// guess asks every format for its score on the head of the file.
func (t *tree) guess(ctx context.Context, file *treeNode) (*Driver, error) {
	n := min(probeSize, roundUp(file.guard.Info().Size, SectorSize))
	head := make([]byte, n)
	if n > 0 {
		if err := file.guard.ReadVec(ctx, Vec{head}, 0, 0); err != nil {
			return nil, Refuse("Could not read image for determining its format: %w", spoken(err))
		}
	}
	if d := t.probe(head, file.filename); d != nil {
		return d, nil
	}
	return nil, Refuse("Could not determine image format: No compatible driver found")
}

func (t *tree) probe(head []byte, name string) *Driver {
	return t.best(func(d *Driver) int {
		if d.Probe == nil {
			return 0
		}
		return d.Probe(head, name)
	})
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
