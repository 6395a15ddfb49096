package nbd

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/rbdname"
)

// remoteProgram is the server for a storage.
type remoteProgram struct {
	program
	url      string // the storage, as the user named it
	name     string // as the server is told it, and repeats in messages
	packages string // of Debian, with all that the server needs
	missing  string // what the server says if a part of it is not installed
}

// program says how to serve a storage. What a name holds stays one argument, or a part of one that
// means nothing else there; passwords in it become the secret.
func (c *remoteConfig) program(readOnly bool) (*remoteProgram, error) {
	scheme, rest, _ := strings.Cut(c.URL, ":")
	remote := scheme != "rbd"
	if rest == "" || remote && !strings.HasPrefix(rest, "//") {
		return nil, driver.Refuse("'%s' names no storage", c.URL)
	}
	if scheme != "ssh" && c.Identity+c.KnownHosts != "" {
		return nil, driver.Refuse("'%s' is not reached by ssh; identity and known-hosts are for it", c.URL)
	}
	switch scheme {
	case "rbd":
		return c.rbd(readOnly)
	case "iscsi":
		return c.iscsi(readOnly)
	case "ssh":
		return c.ssh(readOnly)
	case "http", "https", "ftp", "ftps":
		return c.web()
	}
	return nil, driver.Refuse("'%s' is reached by nothing here; %s are", c.URL,
		strings.Join(remoteSchemes, ", "))
}

// qemuNBD serves a name that QEMU knows.
func (c *remoteConfig) qemuNBD(name, protocol string, readOnly bool) *remoteProgram {
	args := []string{"qemu-nbd", "-t", "-e", "0", "-f", "raw", "--discard=unmap"}
	if readOnly {
		args = append(args, "-r")
	}
	return &remoteProgram{
		program: program{args: append(args, name)}, url: c.URL, name: name,
		packages: "qemu-utils and qemu-block-extra", missing: "Unknown protocol '" + protocol + "'",
	}
}

// nbdkit serves what one of its plugins reaches, which of each connection do one request at a time.
func (c *remoteConfig) nbdkit(plugin string, readOnly bool) *remoteProgram {
	args := []string{"nbdkit", "-f"}
	if readOnly { // without writes, several connections are as good as one, whatever plugins say
		args = append(args, "-r", "--filter=multi-conn", plugin, "multi-conn-mode=unsafe")
	} else {
		args = append(args, plugin)
	}
	return &remoteProgram{
		program: program{args: args, atOnce: 1}, url: c.URL,
		packages: "nbdkit", missing: "cannot open plugin",
	}
}

// set gives nbdkit a parameter, unless there is none.
func (p *remoteProgram) set(name, value string) {
	if value != "" {
		p.args = append(p.args, name+"="+value)
	}
}

// login is a user and perhaps a password, for nbdkit.
func (c *remoteConfig) login(p *remoteProgram, user, password string) {
	p.set("user", user)
	if p.secret = c.password(password); len(p.secret) > 0 {
		p.set("password", "+"+secretFile)
	}
}

// password is that of password-secret, or the one in the name where none is given.
func (c *remoteConfig) password(inName string) driver.Secret {
	if c.Password != "" {
		return c.secret
	}
	return driver.Secret(inName)
}

// rbd serves an image in a Ceph cluster. A snapshot is never written to.
func (c *remoteConfig) rbd(readOnly bool) (*remoteProgram, error) {
	n, err := rbdname.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	key, _ := n.Take("key")
	secret := c.password(key)
	if len(secret) > 0 {
		n.Options = append(n.Options, rbdname.Option{Name: "keyfile", Value: secretFile})
	}
	p := c.qemuNBD(n.String(), "rbd", readOnly || n.Snapshot != "")
	p.secret = secret
	return p, nil
}

// iscsi serves iscsi://[user[%password]@]host[:port]/target/lun. libiscsi takes user and password
// from the environment too, where only this user can see them.
func (c *remoteConfig) iscsi(readOnly bool) (*remoteProgram, error) {
	login, host, path := splitURL(c.URL)
	target, lun, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	user, password, _ := strings.Cut(login, "%")
	if host == "" || target == "" || lun == "" || user == "" && c.Password != "" {
		return nil, driver.Refuse("'%s' is not like iscsi://[user@]host[:port]/target/lun", c.URL)
	}
	p := c.qemuNBD("iscsi://"+host+path, "iscsi", readOnly)
	if user != "" {
		p.env = []string{
			"LIBISCSI_CHAP_USERNAME=" + user,
			"LIBISCSI_CHAP_PASSWORD=" + string(c.password(password)),
		}
	}
	return p, nil
}

// ssh serves ssh://[user[:password]@]host[:port]/path, where the path begins at the root.
func (c *remoteConfig) ssh(readOnly bool) (*remoteProgram, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || len(u.Path) < 2 || u.RawQuery != "" ||
		u.Fragment != "" ||
		!isPlain(u.Hostname()) || !isPlain(u.User.Username()) {
		return nil, driver.Refuse("'%s' is not like ssh://user@host/path", c.URL)
	}
	p := c.nbdkit("ssh", readOnly)
	p.set("host", u.Hostname())
	p.set("port", u.Port())
	p.set("path", u.Path)
	p.set("identity", c.Identity)
	p.set("known-hosts", c.KnownHosts)
	password, _ := u.User.Password()
	c.login(p, u.User.Username(), password)
	return p, nil
}

// isPlain says that a name or an address holds nothing that a shell could take for more: ssh's
// configuration may put it into a command.
func isPlain(s string) bool {
	return !strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._:%@+", r)
	})
}

// web serves a file of a web server, which is never written to: what that makes of writing is
// nobody's disk.
func (c *remoteConfig) web() (*remoteProgram, error) {
	scheme, _, _ := strings.Cut(c.URL, ":")
	login, host, path := splitURL(c.URL)
	user, password, _ := strings.Cut(login, ":")
	user, err := url.PathUnescape(user)
	if err == nil {
		password, err = url.PathUnescape(password)
	}
	if err != nil || host == "" || strings.ContainsFunc(c.URL, unicode.IsControl) {
		return nil, driver.Refuse("'%s' is not like %s://host/path", c.URL, scheme)
	}
	p := c.nbdkit("curl", true)
	p.set("url", scheme+"://"+host+path)
	c.login(p, user, password)
	return p, nil
}

// splitURL takes scheme://[login@]host[rest] apart and changes nothing in the parts.
func splitURL(name string) (login, host, rest string) {
	_, host, _ = strings.Cut(name, "://")
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host, rest = host[:i], host[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		login, host = host[:i], host[i+1:]
	}
	return login, host, rest
}
