package nbd

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// parseName turns a file name into options: nbd:unix:PATH and nbd:HOST:PORT, each perhaps with
// :exportname=NAME behind it, and the URIs nbd://, nbd+tcp:// and nbd+unix://.
func parseName(name string, o *driver.Options) error {
	for _, key := range o.Keys() {
		own := slices.Contains([]string{"host", "port", "path", "export"}, key)
		if own || strings.HasPrefix(key, "server.") {
			return driver.Refuse("Option '%s' cannot be used with a file name", key)
		}
	}
	scheme, rest, _ := strings.Cut(name, ":")
	if strings.HasPrefix(rest, "//") {
		return parseURI(name, o)
	}
	if scheme != "nbd" {
		return refuseURL()
	}
	rest, export, named := strings.Cut(rest, ":exportname=")
	if named && export != "" {
		o.Set("export", export)
	}
	if rest == "" {
		return driver.Refuse("NBD server address missing")
	}
	if path, ok := strings.CutPrefix(rest, "unix:"); ok {
		setServer(o, Address{Network: "unix", Path: path})
		return nil
	}
	host, port, err := splitHostPort(rest)
	if err != nil {
		return err
	}
	setServer(o, Address{Network: "tcp", Host: host, Port: port})
	return nil
}

// splitHostPort takes HOST:PORT apart, where an IPv6 address stands in brackets. The port may be
// followed by options of sockets, which are not known here.
func splitHostPort(s string) (host, port string, err error) {
	i := strings.LastIndexByte(s, ':')
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(rest, "]:")
		if !ok {
			return "", "", driver.Refuse("error parsing IPv6 address '%s'", s)
		}
	} else if i < 0 {
		return "", "", driver.Refuse("error parsing address '%s'", s)
	} else {
		host, port = s[:i], s[i+1:]
	}
	if port == "" || strings.ContainsAny(port, ", ") {
		return "", "", driver.Refuse("error parsing address '%s'", s)
	}
	return host, port, nil
}

func setServer(o *driver.Options, a Address) {
	if a.Network == "unix" {
		o.Set("server.type", "unix")
		o.Set("server.path", a.Path)
		return
	}
	o.Set("server.type", "inet")
	o.Set("server.host", a.Host)
	o.Set("server.port", a.Port)
}

func refuseURL() error { return driver.Refuse("No valid URL specified") }

func parseURI(name string, o *driver.Options) error {
	u, err := url.Parse(name)
	if err != nil || u.User != nil || u.Fragment != "" {
		return refuseURL()
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuseURL()
	}
	if export := strings.TrimPrefix(u.Path, "/"); export != "" {
		o.Set("export", export)
	}
	if u.Scheme == "nbd+unix" {
		if u.Host != "" || len(query) != 1 || len(query["socket"]) != 1 {
			return refuseURL()
		}
		setServer(o, Address{Network: "unix", Path: query.Get("socket")})
		return nil
	}
	if u.Hostname() == "" || len(query) > 0 {
		return refuseURL()
	}
	setServer(o,
		Address{Network: "tcp", Host: u.Hostname(), Port: cmp.Or(u.Port(), DefaultPort)})
	return nil
}

// URI names an export of the server at a as the drivers read it, with encryption if secure.
func (a Address) URI(export string, secure bool) string {
	u := url.URL{Scheme: "nbd", Host: a.String(), Path: "/" + export}
	if secure {
		u.Scheme = "nbds"
	}
	if a.Network == "unix" {
		u.Scheme += "+unix"
		u.Host, u.OmitHost = "", false
		path := strings.ReplaceAll(url.QueryEscape(a.Path), "+", "%20")
		u.RawQuery = "socket=" + strings.ReplaceAll(path, "%2F", "/")
	}
	return u.String()
}

// address is where the server is, said the old way or the new.
func (c *config) address() (Address, error) {
	server := c.Server.Clone()
	switch {
	case c.Path != "" && c.Host != "":
		return Address{}, driver.Refuse("path and host may not be used at the same time")
	case c.Port != "" && c.Path != "":
		return Address{}, driver.Refuse("port may not be used without host")
	case server.Len() > 0 && (c.Path != "" || c.Host != "" || c.Port != ""):
		return Address{}, driver.Refuse("Cannot use 'server' and path/host/port at the same time")
	case c.Path != "":
		return Address{Network: "unix", Path: c.Path}, nil
	case c.Host != "":
		return Address{Network: "tcp", Host: c.Host, Port: cmp.Or(c.Port, DefaultPort)}, nil
	case server.Len() == 0:
		return Address{}, driver.Refuse("NBD server address missing")
	}
	a, err := serverAddress(server)
	if err == nil && server.Len() > 0 {
		err = driver.Refuse("Parameter '%s' is unexpected", server.Keys()[0])
	}
	return a, err
}

// serverAddress reads server.type and what belongs to it.
func serverAddress(o *driver.Options) (Address, error) {
	kind, err := takeNeeded(o, "type")
	if err != nil {
		return Address{}, err
	}
	switch kind {
	case "unix":
		path, err := takeNeeded(o, "path")
		abstract, err := takeSwitch(o, "abstract", false, err)
		tight, err := takeSwitch(o, "tight", true, err)
		if abstract && !tight && err == nil {
			err = driver.Refuse("server.tight=off is not supported for sockets without a file")
		}
		return Address{Network: "unix", Path: path, Abstract: abstract}, err
	case "inet":
		host, err := takeNeeded(o, "host")
		if err != nil {
			return Address{}, err
		}
		port, err := takeNeeded(o, "port")
		network, err := ipVersion(o, err)
		return Address{Network: network, Host: host, Port: port}, err
	case "vsock", "fd":
		return Address{}, driver.Refuse("server.type=%s is not supported; unix and inet are", kind)
	}
	return Address{}, driver.Refuse("Parameter 'type' does not accept value '%s'", kind)
}

// ipVersion reads which versions of IP may be used, and passes over what only concerns whoever
// listens.
func ipVersion(o *driver.Options, err error) (string, error) {
	network := "tcp"
	o.Take("to")
	for _, key := range []string{"ipv4", "ipv6", "numeric", "keep-alive"} {
		var on bool
		on, err = takeSwitch(o, key, true, err)
		switch {
		case key == "ipv4" && !on:
			network = "tcp6"
		case key == "ipv6" && !on:
			network = "tcp4"
		}
	}
	return network, err
}

// takeSwitch takes an option that is on or off, unless there is an error already.
func takeSwitch(o *driver.Options, key string, without bool, err error) (bool, error) {
	value, given := o.Take(key)
	if !given || err != nil {
		return without, err
	}
	text, _ := driver.Text(value)
	on, known := driver.Truth(text)
	if !known {
		err = driver.Refuse("Parameter '%s' expects 'on' or 'off'", key)
	}
	return on, err
}

func takeNeeded(o *driver.Options, key string) (string, error) {
	value, given := o.Take(key)
	if !given {
		return "", driver.Refuse("Parameter '%s' is missing", key)
	}
	text, ok := driver.Text(value)
	if !ok {
		return "", driver.Refuse("Invalid parameter type for 'server.%s', expected: string", key)
	}
	return text, nil
}
