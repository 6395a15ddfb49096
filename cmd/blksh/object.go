package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
)

// object takes the value of --object: "secret,id=ID" and where its data comes from, or "tls-creds-x509,id=ID,dir=DIR". The errors are
// QEMU's, measured on 7.2.22.
func (p *program) object(value string) error {
	opts, err := blockdev.ParseOptionString(value, "qom-type")
	if err == nil {
		err = p.makeObject(opts)
	}
	if err != nil {
		return event.Fail(event.Report{Err: err})
	}
	return nil
}

// makeObject makes an object and keeps it under its id.
func (p *program) makeObject(opts *blockdev.Options) error {
	kind, ok := opts.Take("qom-type")
	if !ok {
		return driver.Refuse("Parameter 'qom-type' is missing")
	}
	name, _ := kind.(string)
	make := secret
	if _, ok := tlsKeys(name); ok {
		make = func(o *blockdev.Options) (any, error) { return credentials(name, o) }
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

// secret makes an object of the type secret.
func secret(opts *blockdev.Options) (any, error) {
	if err := onlyKeys(opts, "data", "file", "format"); err != nil {
		return nil, err
	}
	data, err := secretData(opts)
	return driver.Secret(data), err
}

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 1 << 20

func secretData(opts *blockdev.Options) ([]byte, error) {
	var data []byte
	switch hasData, hasFile := opts.Has("data"), opts.Has("file"); {
	case hasData && hasFile:
		return nil, errors.New("'file' and 'data' are mutually exclusive")
	case hasData:
		data = []byte(opts.String("data"))
	case hasFile:
		name := opts.String("file")
		info, err := os.Stat(name)
		if err == nil && info.Size() > maxSecret {
			err = errors.New("too long for a secret")
		}
		if err == nil {
			data, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, driver.Refuse("Unable to read %s: %w", name, err)
		}
	default:
		return nil, driver.Refuse("Either 'file' or 'data' must be provided")
	}
	switch format := opts.String("format"); format {
	case "", "raw":
		return data, nil
	case "base64":
		return base64.StdEncoding.DecodeString(string(data))
	default:
		return nil, driver.Refuse("Parameter 'format' does not accept value '%s'", format)
	}
}
