package driver

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Type is the type of an option's value.
type Type int

// The types of option values.
const (
	String Type = iota
	Bool
	Int
	Size
	Enum
	// NodeRef is a child: options below KEY., or the name of a node as the value of KEY itself.
	NodeRef
	// TypeList is a numbered list of groups: KEY.0.name, KEY.1.name. The driver reads it by Values.Sub.
	TypeList
	// TypeGroup is a free set of options below KEY.
	TypeGroup
)

// Key is one option of a driver.
type Key struct {
	Name    string
	Type    Type
	Default string
	Enum    []string // the values of an Enum
	Help    string   // a line for people
}

// Values are the options of one node, parsed and checked against its keys. Getters give a key's default when it was not
// set; asking for a key that the driver does not declare panics, since only a programming error can do that.
type Values struct {
	keys  []Key
	set   map[string]any
	given map[string]*Options // of lists and groups
	rest  map[string]*Options // what the driver has not taken out of given yet
}

// ParseValues takes the options that keys declare out of o. Its errors are QEMU's, to the letter.
func ParseValues(keys []Key, o *Options) (Values, error) {
	v := Values{keys: keys, set: map[string]any{}, given: map[string]*Options{}, rest: map[string]*Options{}}
	for _, k := range keys {
		switch k.Type {
		case NodeRef: // children are taken by Opening.Child
			continue
		case TypeList, TypeGroup:
			v.given[k.Name] = o.TakeSub(k.Name + ".")
			v.rest[k.Name] = v.given[k.Name].Clone()
			continue
		}
		raw, _ := o.Take(k.Name)
		if raw == nil { // not given, or null
			if k.Default == "" {
				continue
			}
			raw = k.Default
		}
		parsed, err := k.Parse(raw)
		if err != nil {
			return Values{}, err
		}
		v.set[k.Name] = parsed
	}
	return v, nil
}

// Parse reads a value that may have come as text or from JSON. As in QEMU the types of JSON do not matter, only what they look like:
// true is "on", and 65536.0 is 65536.
func (k Key) Parse(raw any) (any, error) {
	text, ok := Text(raw)
	if !ok {
		return nil, Refuse("Invalid parameter type for '%s', expected: string", k.Name)
	}
	switch k.Type {
	case Bool:
		return parseBool(k.Name, text)
	case Int:
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return nil, Refuse("Parameter '%s' expects a number", k.Name)
		}
		return n, nil
	case Size:
		return parseSize(k.Name, text)
	case Enum:
		if !slices.Contains(k.Enum, text) {
			return nil, Refuse("Parameter '%s' does not accept value '%s'", k.Name, text)
		}
	}
	return text, nil
}

// Text is an option's value as it would be typed; ok is false for {} and [].
func Text(value any) (text string, ok bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		if v {
			return "on", true
		}
		return "off", true
	case float64:
		return strconv.FormatFloat(v, 'g', 17, 64), true
	case int64, uint64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// Truth reads the words for yes and no; ok is false for any other.
func Truth(text string) (yes, ok bool) {
	switch text {
	case "on", "yes", "true", "y":
		return true, true
	case "off", "no", "false", "n":
		return false, true
	}
	return false, false
}

func parseBool(name, text string) (bool, error) {
	yes, ok := Truth(text)
	if !ok {
		return false, Refuse("Parameter '%s' expects 'on' or 'off'", name)
	}
	return yes, nil
}

// SizeError is the refusal of a size option, with QEMU's advice on the lines after it.
type SizeError struct{ Key string }

func (e *SizeError) Error() string {
	return fmt.Sprintf("Parameter '%s' expects a non-negative number below 2^64", e.Key)
}

// Hint is what to type instead.
func (e *SizeError) Hint() string {
	return "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.\n"
}

func parseSize(name, s string) (uint64, error) {
	shift := 0
	digits := s
	if s != "" {
		if i := strings.IndexByte("bkmgtpe", s[len(s)-1]|0x20); i >= 0 && !strings.HasPrefix(s, "0x") {
			shift, digits = 10*i, s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(digits, prefixBase(digits), 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxUint64>>shift {
		return 0, Refuse("Value '%s' is out of range for parameter '%s'", s, name)
	}
	if err == nil {
		return n << shift, nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	f *= float64(int64(1) << shift)
	if err != nil || strings.Trim(digits, "0123456789.") != "" || digits[0] == '.' || shift == 0 && f != math.Trunc(f) {
		return 0, &SizeError{name}
	}
	if f >= math.MaxUint64 {
		return 0, Refuse("Value '%s' is out of range for parameter '%s'", s, name)
	}
	return uint64(f + 0.5), nil
}

func prefixBase(s string) int {
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		return 0
	}
	return 10
}

func (v Values) get(name string, t ...Type) any {
	i := slices.IndexFunc(v.keys, func(k Key) bool { return k.Name == name })
	if i < 0 || !slices.Contains(t, v.keys[i].Type) {
		panic("driver: option " + name + " is not declared with the type asked for")
	}
	return v.set[name]
}

// Has says whether name was set or has a default.
func (v Values) Has(name string) bool { return v.get(name, String, Bool, Int, Size, Enum) != nil }

// String is the value of a String or Enum key.
func (v Values) String(name string) string {
	s, _ := v.get(name, String, Enum).(string)
	return s
}

// Bool is the value of a Bool key.
func (v Values) Bool(name string) bool {
	b, _ := v.get(name, Bool).(bool)
	return b
}

// Int is the value of an Int or Size key, in bytes for the latter. A size that is too large for any file is the largest int64.
func (v Values) Int(name string) int64 {
	switch n := v.get(name, Int, Size).(type) {
	case int64:
		return n
	case uint64:
		return int64(min(n, math.MaxInt64))
	}
	return 0
}

// Uint is the value of a Size key, in bytes, however large.
func (v Values) Uint(name string) uint64 {
	n, _ := v.get(name, Size).(uint64)
	return n
}

// Sub is everything below a TypeList or TypeGroup key. What the driver does not take out of it is refused as unknown.
func (v Values) Sub(name string) *Options { return v.rest[name] }

// Declared says whether keys take an option called name.
func Declared(keys []Key, name string) bool {
	for _, k := range keys {
		switch k.Type {
		case NodeRef:
			if name == k.Name || strings.HasPrefix(name, k.Name+".") {
				return true
			}
		case TypeList, TypeGroup:
			if strings.HasPrefix(name, k.Name+".") {
				return true
			}
		default:
			if name == k.Name {
				return true
			}
		}
	}
	return false
}

// Leftover says whether key lies in a list or group from which the driver did not take it.
func (v Values) Leftover(key string) bool {
	for name, rest := range v.rest {
		if sub, ok := strings.CutPrefix(key, name+"."); ok && rest.Has(sub) {
			return true
		}
	}
	return false
}

// Differs names an option whose value is not the same in both, "" if there is none. What only old has is kept.
func (v Values) Differs(old Values) string {
	for _, k := range v.keys {
		if !reflect.DeepEqual(v.set[k.Name], old.set[k.Name]) {
			return k.Name
		}
		given, before := v.given[k.Name], old.given[k.Name]
		if given == nil {
			continue
		}
		for _, key := range given.Keys() {
			is, _ := given.Get(key)
			if was, ok := before.Get(key); !ok || !reflect.DeepEqual(is, was) {
				return k.Name + "." + key
			}
		}
	}
	return ""
}
