package nbd

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Remote is the protocol driver for storage that others know how to reach: names such as
// https://host/disk.img start nbdkit or qemu-nbd, which end with their user. No image may name one.
var Remote = driver.Driver{
	Name:      "nbd-remote",
	Doc:       "what nbdkit or qemu-nbd reach: https://, ssh://, rbd:, iscsi://",
	Kind:      driver.Protocol,
	Config:    remoteConfig{},
	Native:    true,
	Device:    true,
	Schemes:   remoteSchemes,
	ParseName: parseRemote,
	Open:      openRemote,
}

var remoteSchemes = []string{"http", "https", "ftp", "ftps", "ssh", "rbd", "iscsi"}

// remoteConfig are the options of Remote.
type remoteConfig struct {
	URL        string `option:"url" help:"name of the storage, as https://host/disk.img"`
	Password   string `option:"password-secret" help:"id of a secret: the password, or the key of rbd"`
	Identity   string `option:"identity" help:"file with the private key for ssh"`
	KnownHosts string `option:"known-hosts" help:"file with the keys of ssh's hosts"`
	exportConfig
	secret driver.Secret // what Password names
}

// parseRemote takes names that somebody can serve.
func parseRemote(name string, o *driver.Options) error {
	if _, err := (&remoteConfig{URL: name}).program(true); err != nil {
		return err
	}
	o.Set("url", name)
	return nil
}

func openRemote(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*remoteConfig)
	if c.Password != "" {
		var err error
		if c.secret, err = o.Secret(c.Password); err != nil {
			return nil, err
		}
	}
	p, err := c.program(o.Mode.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer p.secret.Wipe()
	n, err := openServer(ctx, o, &c.exportConfig, p.program)
	if err != nil {
		return nil, p.explain(err)
	}
	return n, nil
}

// explain says what to install, or what the server had to say.
func (p *remoteProgram) explain(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return driver.RefuseAs(syscall.ENOENT, "'%s' needs the program %s; on Debian, install %s",
			p.url, p.args[0], p.packages)
	}
	var server *serverError
	if !errors.As(err, &server) {
		return err
	}
	said := strings.Replace(server.said, "Failed to blk_new_open '"+p.name+"': ", "", 1)
	if strings.Contains(said, p.missing) {
		said += "; on Debian, install " + p.packages
	}
	return driver.RefuseAs(err, "%s", said)
}
