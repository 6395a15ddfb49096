package nbd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	Schemes:   []string{"http", "https", "ftp", "ftps", "ssh", "rbd", "iscsi"},
	ParseName: parseRemote,
	Open:      openRemote,
}

// remoteConfig are the options of Remote.
type remoteConfig struct {
	URL string `option:"url" help:"name of the storage, as its server takes it"`
	exportConfig
}

// parseRemote takes names that somebody can serve.
func parseRemote(name string, o *driver.Options) error {
	if _, err := remoteServer(name, true); err != nil {
		return err
	}
	o.Set("url", name)
	return nil
}

// remoteServer is the command that serves the storage called name.
func remoteServer(name string, readOnly bool) ([]string, error) {
	scheme, rest, _ := strings.Cut(name, ":")
	nbdkit, qemu := []string{"nbdkit", "-f"}, []string{"qemu-nbd", "-t", "-e", "0", "-f", "raw"}
	if readOnly {
		nbdkit, qemu = append(nbdkit, "-r"), append(qemu, "-r")
	}
	switch {
	case rest == "":
	case scheme == "rbd":
		return append(qemu, name), nil
	case !strings.HasPrefix(rest, "//"):
	case scheme == "iscsi":
		return append(qemu, name), nil
	case scheme == "ssh":
		return sshServer(nbdkit, name)
	default: // what web servers make of writing is nobody's disk
		return []string{"nbdkit", "-f", "-r", "curl", "url=" + name}, nil
	}
	return nil, driver.Refuse("'%s' names no storage", name)
}

// sshServer takes ssh://[user@]host[:port]/path apart.
func sshServer(nbdkit []string, name string) ([]string, error) {
	u, err := url.Parse(name)
	if err != nil || u.Hostname() == "" || len(u.Path) < 2 || u.RawQuery != "" {
		return nil, driver.Refuse("'%s' is not like ssh://user@host/path", name)
	}
	args := append(nbdkit, "ssh", "host="+u.Hostname(), "path="+u.Path)
	if u.User != nil {
		args = append(args, "user="+u.User.Username())
	}
	if u.Port() != "" {
		args = append(args, "port="+u.Port())
	}
	return args, nil
}

func openRemote(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*remoteConfig)
	args, err := remoteServer(c.URL, o.Mode.ReadOnly)
	if err != nil {
		return nil, err
	}
	n, err := openServer(ctx, o, &c.exportConfig, args)
	if errors.Is(err, exec.ErrNotFound) {
		pkg := args[0]
		if pkg == "qemu-nbd" {
			pkg = "qemu-utils and qemu-block-extra"
		}
		text := fmt.Sprintf("'%s' needs the program %s; on Debian, install %s", c.URL, args[0], pkg)
		return nil, driver.RefuseAs(syscall.ENOENT, "%s", text)
	}
	return n, err
}
