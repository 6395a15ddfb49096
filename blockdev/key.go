package blockdev

import (
	"fmt"
	"math"
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
	// List is a numbered list of groups: KEY.0.name, KEY.1.name. The driver reads it by Values.Sub.
	List
	// Prefix is a free set of options below KEY.
	Prefix
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
	keys []Key
	set  map[string]any
	rest map[string]*Options
}

// ParseValues takes the options that keys declare out of o. Its errors are QEMU's, to the letter.
func ParseValues(keys []Key, o *Options) (Values, error) {
	v := Values{keys: keys, set: map[string]any{}, rest: map[string]*Options{}}
	for _, k := range keys {
		switch k.Type {
		case NodeRef: // children are taken by Opening.Child
			continue
		case List, Prefix:
			v.rest[k.Name] = o.TakeSub(k.Name + ".")
			continue
		}
		raw, ok := o.Take(k.Name)
		if !ok {
			if k.Default == "" {
				continue
			}
			raw = k.Default
		}
		parsed, err := k.parse(raw)
		if err != nil {
			return Values{}, err
		}
		v.set[k.Name] = parsed
	}
	return v, nil
}

func (k Key) parse(raw any) (any, error) {
	switch k.Type {
	case Bool:
		return parseBool(k.Name, raw)
	case Int:
		return parseInt(k.Name, raw)
	case Size:
		return parseSizeOption(k.Name, raw)
	case Enum:
		s, ok := raw.(string)
		if !ok {
			return nil, typeError(k.Name, "string")
		}
		if !slices.Contains(k.Enum, s) {
			return nil, Refuse("Parameter '%s' does not accept value '%s'", k.Name, s)
		}
		return s, nil
	default:
		s, ok := raw.(string)
		if !ok {
			return nil, typeError(k.Name, "string")
		}
		return s, nil
	}
}

func typeError(name, want string) error {
	return Refuse("Invalid parameter type for '%s', expected: %s", name, want)
}

func parseBool(name string, raw any) (bool, error) {
	switch v := raw.(type) {
	case bool:
		return v, nil
	case string:
		switch v {
		case "on", "yes", "true", "y":
			return true, nil
		case "off", "no", "false", "n":
			return false, nil
		}
		return false, Refuse("Parameter '%s' expects 'on' or 'off'", name)
	}
	return false, typeError(name, "boolean")
}

func parseInt(name string, raw any) (int64, error) {
	switch v := raw.(type) {
	case int64:
		return v, nil
	case string:
		n, err := strconv.ParseInt(v, 0, 64)
		if err != nil {
			return 0, Refuse("Parameter '%s' expects a number", name)
		}
		return n, nil
	}
	return 0, typeError(name, "integer")
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

func parseSizeOption(name string, raw any) (int64, error) {
	switch v := raw.(type) {
	case int64:
		if v >= 0 {
			return v, nil
		}
	case string:
		if n, ok := parseSizeText(v); ok {
			return n, nil
		}
	}
	return 0, &SizeError{name}
}

func parseSizeText(s string) (int64, bool) {
	shift := 0
	digits := s
	if s != "" {
		if i := strings.IndexByte("bkmgtpe", s[len(s)-1]|0x20); i >= 0 && !strings.HasPrefix(s, "0x") {
			shift, digits = 10*i, s[:len(s)-1]
		}
	}
	if n, err := strconv.ParseUint(digits, prefixBase(digits), 63); err == nil {
		if n > math.MaxInt64>>shift {
			return 0, false
		}
		return int64(n) << shift, true
	}
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	f *= float64(int64(1) << shift)
	if err != nil || f >= math.MaxInt64 || shift == 0 {
		return 0, false
	}
	return int64(f + 0.5), true
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
		panic("blockdev: option " + name + " is not declared with the type asked for")
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

// Int is the value of an Int or Size key, in bytes for the latter.
func (v Values) Int(name string) int64 {
	n, _ := v.get(name, Int, Size).(int64)
	return n
}

// Sub is everything below a List or Prefix key. What the driver does not take out of it is refused as unknown.
func (v Values) Sub(name string) *Options { return v.rest[name] }
