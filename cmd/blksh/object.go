package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
)

// object takes the value of --object: "secret,id=ID" and where its data comes from, or
// "tls-creds-x509,id=ID,dir=DIR". The errors are QEMU's, measured on 7.2.22.
func (p *program) object(value string) error {
	opts, err := objectOptions(value)
	if err == nil {
		err = p.makeObject(opts)
	}
	if err != nil {
		return event.FailReport(err)
	}
	return nil
}

// objectOptions are the properties of an object, which may come as JSON.
func objectOptions(value string) (*blockdev.Options, error) {
	if strings.HasPrefix(value, "{") {
		return blockdev.ParseJSONName("json:" + value)
	}
	return blockdev.ParseOptionString(value, "qom-type")
}

// makeObject makes an object and keeps it under its id.
func (p *program) makeObject(opts *blockdev.Options) error {
	kind, ok := opts.Take("qom-type")
	if !ok {
		return driver.Refuse("Parameter 'qom-type' is missing")
	}
	name, _ := kind.(string)
	make := p.secret
	if _, ok := tlsKeys(name); ok {
		make = func(o *blockdev.Options) (any, error) { return p.credentials(name, o) }
	} else if name != "secret" {
		return driver.Refuse("Parameter 'qom-type' does not accept value '%s'", name)
	}
	id := opts.String("id")
	if id == "" {
		return driver.Refuse("Parameter 'id' is missing")
	}
	if !driver.IsIdentifier(id) {
		return driver.IdentifierError{}
	}
	if _, ok := p.options.objects[id]; ok {
		return fmt.Errorf("attempt to add duplicate property '%s' to object (type 'container')", id)
	}
	opts.Take("id")
	object, err := make(opts)
	p.options.objects[id] = object
	return err
}

// onlyKeys refuses properties other than keys.
func onlyKeys(opts *blockdev.Options, keys ...string) error {
	for _, key := range opts.Keys() {
		if !slices.Contains(keys, key) {
			return driver.Refuse("Parameter '%s' is unexpected", key)
		}
	}
	return nil
}
