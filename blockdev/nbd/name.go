package nbd

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
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
		return driver.Refuse("File name string for NBD must start with 'nbd:'")
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

// mostHost and mostPort are how many bytes of a host and a port QEMU takes.
const mostHost, mostPort = 64, 32

// splitHostPort takes HOST:PORT[,OPTION]... apart, where an IPv6 address stands in brackets. As in
// QEMU, the options of sockets must be right, and mean nothing.
func splitHostPort(s string) (host, port string, err error) {
	what, ok := "address", false
	if rest, bracket := strings.CutPrefix(s, "["); bracket {
		what = "IPv6 address"
		host, port, ok = strings.Cut(rest, "]:")
	} else if host, port, ok = strings.Cut(s, ":"); host == "" {
		what = "port in address"
	}
	port, options, _ := strings.Cut(port, ",")
	none := host == "" && what != "port in address"
	if !ok || none || port == "" || len(host) > mostHost || len(port) > mostPort {
		return "", "", driver.Refuse("error parsing %s '%s'", what, s)
	}
	return host, port, checkSocketOptions(options)
}

// checkSocketOptions reads what may follow a port: to=N, and the names of switches.
func checkSocketOptions(options string) error {
	for word := range strings.SplitSeq(options, ",") {
		if to, ok := strings.CutPrefix(word, "to="); ok {
			if _, err := strconv.Atoi(to); err != nil {
				return driver.Refuse("error parsing to= argument")
			}
		}
		for _, name := range []string{"ipv4", "ipv6", "keep-alive", "mptcp"} {
			value, ok := strings.CutPrefix(word, name)
			if ok && !slices.Contains([]string{"", "=on", "=off"}, value) {
				return driver.Refuse("error parsing '%s' flag '%s'", name, value)
			}
		}
	}
	return nil
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

// parseURI reads a name as QEMU and libnbd do: a user and a fragment mean nothing.
func parseURI(name string, o *driver.Options) error {
	u, err := url.Parse(name)
	if err != nil || !isURI(name) {
		return refuseURL()
	}
	query, err := parameters(u.RawQuery)
	if err != nil || strings.ContainsRune(u.Path, 0) {
		return refuseURL()
	}
	if export := strings.TrimPrefix(u.Path, "/"); export != "" {
		o.Set("export", export)
	}
	if u.Scheme == "nbd+unix" {
		if u.Host != "" || len(query) != 1 || query[0].name != "socket" {
			return refuseURL()
		}
		setServer(o, Address{Network: "unix", Path: query[0].value})
		return nil
	}
	host, ok := hostOf(u)
	if !ok || len(query) > 0 {
		return refuseURL()
	}
	setServer(o, host)
	return nil
}

// isURI says that s has none of the characters that a URI cannot have.
func isURI(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^`+"`{|}", r)
	})
}

// hostOf is the server that a URI names, by a port other than 0 or by the usual one.
func hostOf(u *url.URL) (a Address, ok bool) {
	host, port := u.Hostname(), u.Port()
	bracket := strings.HasPrefix(u.Host, "[")
	if host == "" || !bracket && strings.Contains(host, ":") || strings.HasSuffix(u.Host, ":") {
		return a, false
	}
	number, err := strconv.ParseUint(cmp.Or(port, DefaultPort), 10, 16)
	if number != 0 {
		port = strconv.FormatUint(number, 10)
	} else {
		port = DefaultPort
	}
	return Address{Network: "tcp", Host: host, Port: port}, err == nil
}

// parameter is one of a URI's query.
type parameter struct{ name, value string }

// parameters takes a query apart. Unlike in a form, a plus sign is one.
func parameters(query string) ([]parameter, error) {
	var list []parameter
	between := func(r rune) bool { return r == '&' || r == ';' }
	for word := range strings.FieldsFuncSeq(query, between) {
		name, value, _ := strings.Cut(word, "=")
		name, err := url.PathUnescape(name)
		if err == nil {
			value, err = url.PathUnescape(value)
		}
		if err != nil || strings.ContainsRune(name+value, 0) {
			return nil, refuseURL()
		}
		list = append(list, parameter{name, value})
	}
	return list, nil
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
	case server.Len() > 0 && (c.Path != nil || c.Host != nil || c.Port != nil):
		return Address{}, driver.Refuse("Cannot use 'server' and path/host/port at the same time")
	case c.Path != nil && c.Host != nil:
		return Address{}, driver.Refuse("path and host may not be used at the same time")
	case c.Path != nil && c.Port != nil:
		return Address{}, driver.Refuse("port may not be used without host")
	case c.Path != nil:
		return Address{Network: "unix", Path: *c.Path}, nil
	case c.Host != nil:
		port := DefaultPort
		if c.Port != nil {
			port = *c.Port
		}
		return Address{Network: "tcp", Host: *c.Host, Port: port}, nil
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
		if abstract && !tight {
			path += strings.Repeat("\x00", max(0, LongestPath-1-len(path)))
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
	case "fd":
		number, err := takeNeeded(o, "str")
		return Address{Network: "fd", Path: number}, err
	case "vsock":
		return Address{}, driver.Refuse("server.type=vsock is not supported; unix, inet and fd are")
	}
	return Address{}, driver.Refuse("Parameter 'type' does not accept value '%s'", kind)
}

// ipVersion reads which versions of IP may be used: both, unless one is switched off or only one
// on. It checks and passes over what concerns whoever listens, and what is not done here.
func ipVersion(o *driver.Options, err error) (string, error) {
	if value, given := o.Take("to"); given && err == nil {
		text, _ := driver.Text(value)
		if _, no := strconv.ParseInt(text, 10, 64); no != nil {
			err = driver.Refuse("Parameter 'to' expects integer")
		} else if _, no := strconv.ParseUint(text, 10, 16); no != nil {
			err = driver.Refuse("Parameter 'to' expects uint16_t")
		}
	}
	given := [2]bool{o.Has("ipv4"), o.Has("ipv6")}
	v4, err := takeSwitch(o, "ipv4", false, err)
	v6, err := takeSwitch(o, "ipv6", false, err)
	for _, key := range []string{"numeric", "keep-alive", "mptcp"} {
		_, err = takeSwitch(o, key, false, err)
	}
	switch {
	case err != nil || v4 && v6:
		return "tcp", err
	case given[0] && given[1] && !v4 && !v6:
		return "", driver.Refuse("Cannot disable IPv4 and IPv6 at same time")
	case v6 || given[0] && !v4:
		return "tcp6", nil
	case v4 || given[1]:
		return "tcp4", nil
	}
	return "tcp", nil
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
