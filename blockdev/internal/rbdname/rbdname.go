// Package rbdname reads and writes names of images in Ceph clusters, as QEMU has them:
//
//	rbd:POOL/[NAMESPACE/]IMAGE[@SNAPSHOT][:OPTION=VALUE...]
//
// A backslash takes away the meaning of the character behind it. Source: QEMU's documentation of
// rbd, and qemu_rbd_parse_filename in its block/rbd.c for what is escaped.
package rbdname

import (
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// Name is an image in a cluster.
type Name struct {
	Pool, Namespace, Image string
	Snapshot               string // "" for the image as it is now
	Options                []Option
}

// Option is "conf" with the name of a configuration file, "id" with that of a user, or an option of
// such a file.
type Option struct{ Name, Value string }

// Parse takes a name apart. QEMU finds an @ that means a snapshot in the options too: here it means
// nothing there.
func Parse(name string) (Name, error) {
	refused := driver.Refuse("'%s' is not like rbd:pool/image[@snapshot][:option=value]", name)
	rest, ok := strings.CutPrefix(name, "rbd:")
	if !ok {
		return Name{}, refused
	}
	rest, options, hasOptions := cut(rest, ':')
	var n Name
	n.Pool, rest, ok = cut(rest, '/')
	image, snapshot, hasSnapshot := cut(rest, '@')
	if first, second, ok := cut(image, '/'); ok {
		n.Namespace, image = unescape(first), second
	}
	n.Pool, n.Image, n.Snapshot = unescape(n.Pool), unescape(image), unescape(snapshot)
	if !ok || n.Pool == "" || n.Image == "" || hasSnapshot && n.Snapshot == "" {
		return Name{}, refused
	}
	for more := hasOptions; more; {
		var option string
		option, options, more = cut(options, ':')
		key, value, ok := cut(option, '=')
		if !ok || key == "" {
			return Name{}, driver.Refuse("'%s': the option '%s' has no value", name, option)
		}
		n.Options = append(n.Options, Option{unescape(key), unescape(value)})
	}
	return n, nil
}

// cut is strings.Cut at a character without a backslash before it.
func cut(s string, at byte) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case at:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Take removes an option and returns its value. Of several with that name the last one counts.
func (n *Name) Take(option string) (value string, given bool) {
	kept := n.Options[:0:0]
	for _, o := range n.Options {
		if o.Name == option {
			value, given = o.Value, true
		} else {
			kept = append(kept, o)
		}
	}
	n.Options = kept
	return value, given
}

// String is the name as Parse and QEMU read it.
func (n Name) String() string {
	var b strings.Builder
	b.WriteString("rbd:" + escape(n.Pool) + "/")
	if n.Namespace != "" {
		b.WriteString(escape(n.Namespace) + "/")
	}
	b.WriteString(escape(n.Image))
	if n.Snapshot != "" {
		b.WriteString("@" + escape(n.Snapshot))
	}
	for _, o := range n.Options {
		b.WriteString(":" + escape(o.Name) + "=" + escape(o.Value))
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, "/", `\/`, "@", `\@`, "=", `\=`).Replace(s)
}
