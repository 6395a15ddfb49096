package driver

import (
	"reflect"
	"slices"
	"strings"
)

// Options is the one form that all ways to name an image end in: paths, prefixes, URIs, json:{...}
// and option strings. Keys are flat and dotted, as in "file.inject-error.0.event". A value is a
// string (from a command line, any type may be meant), or a bool, int64, uint64, float64 or nil
// (from JSON, where types are checked). Options remembers which were given and which a child has
// from its parent, because reopening drops the latter before it asks the parent again.
//
// The zero value is empty.
type Options struct {
	list  []option
	sizes SizeGrammar // nil for QEMU's
}

// SizeGrammar reads a size that a person wrote, in bytes. Its error says what is wrong with it.
type SizeGrammar func(text string) (uint64, error)

// ReadSizes has sizes among the values, and those of children, read by another grammar than QEMU's.
// nil changes nothing.
func (o *Options) ReadSizes(by SizeGrammar) {
	if by != nil {
		o.sizes = by
	}
}

type option struct {
	key       string
	value     any
	inherited bool
}

// Set gives key a value, over any older one.
func (o *Options) Set(key string, value any) { o.put(option{key: key, value: value}) }

// SetDefault gives key a value unless it has one.
func (o *Options) SetDefault(key string, value any) {
	if !o.Has(key) {
		o.Set(key, value)
	}
}

// Inherit is SetDefault for a value that comes from the parent.
func (o *Options) Inherit(key string, value any) {
	if !o.Has(key) {
		o.put(option{key: key, value: value, inherited: true})
	}
}

func (o *Options) put(n option) {
	if i := o.find(n.key); i >= 0 {
		o.list[i] = n
		return
	}
	o.list = append(o.list, n)
}

func (o *Options) find(key string) int {
	return slices.IndexFunc(o.list, func(p option) bool { return p.key == key })
}

// Get is the value of key and whether there is one.
func (o *Options) Get(key string) (any, bool) {
	if i := o.find(key); i >= 0 {
		return o.list[i].value, true
	}
	return nil, false
}

// String is the value of key as text; what is absent or no text is "".
func (o *Options) String(key string) string {
	v, _ := o.Get(key)
	s, _ := v.(string)
	return s
}

// Has says whether key has a value.
func (o *Options) Has(key string) bool { return o.find(key) >= 0 }

// Given says whether key has a value that was not inherited.
func (o *Options) Given(key string) bool {
	i := o.find(key)
	return i >= 0 && !o.list[i].inherited
}

// Take removes key and returns its value.
func (o *Options) Take(key string) (any, bool) {
	i := o.find(key)
	if i < 0 {
		return nil, false
	}
	v := o.list[i].value
	o.list = slices.Delete(o.list, i, i+1)
	return v, true
}

// TakeSub removes all keys below prefix ("file." for the options of a child called file) and
// returns them without it.
func (o *Options) TakeSub(prefix string) *Options {
	sub := o.Sub(prefix)
	o.list = slices.DeleteFunc(o.list,
		func(p option) bool { return strings.HasPrefix(p.key, prefix) })
	return sub
}

// Sub is a copy of all keys below prefix, without it.
func (o *Options) Sub(prefix string) *Options {
	sub := Options{sizes: o.sizes}
	for _, p := range o.list {
		if rest, ok := strings.CutPrefix(p.key, prefix); ok {
			sub.list = append(sub.list, option{rest, p.value, p.inherited})
		}
	}
	return &sub
}

// Merge sets everything that other holds.
func (o *Options) Merge(other *Options) { o.MergeAs("", other) }

// MergeAs sets everything that other holds, below prefix.
func (o *Options) MergeAs(prefix string, other *Options) {
	for _, p := range other.list {
		o.put(option{prefix + p.key, p.value, p.inherited})
	}
}

// Clone is a copy that shares nothing.
func (o *Options) Clone() *Options { return &Options{slices.Clone(o.list), o.sizes} }

// GivenOnly is a copy without what was inherited.
func (o *Options) GivenOnly() *Options {
	c := o.Clone()
	c.list = slices.DeleteFunc(c.list, func(p option) bool { return p.inherited })
	return c
}

// Keys lists the keys in order of the alphabet, so that messages about them do not depend on
// chance.
func (o *Options) Keys() []string {
	keys := make([]string, len(o.list))
	for i, p := range o.list {
		keys[i] = p.key
	}
	slices.Sort(keys)
	return keys
}

// Len is the number of keys.
func (o *Options) Len() int { return len(o.list) }

// differs names an option of o that has another value in before, "" if there is none.
func (o *Options) differs(before *Options) string {
	for _, key := range o.Keys() {
		is, _ := o.Get(key)
		if was, ok := before.Get(key); !ok || !reflect.DeepEqual(is, was) {
			return key
		}
	}
	return ""
}
