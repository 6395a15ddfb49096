package driver

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Type is the type of an option's value.
type Type int

// The types of option values: those of the fields of a Config, and strings with a list of values.
const (
	TypeString Type = iota
	TypeBool
	TypeInt
	TypeSize
	TypeEnum
	TypeChild
	TypeList
	TypeGroup
)

// Key is one option of a driver.
type Key struct {
	Name    string
	Type    Type
	Default string
	Enum    []string // the values that it may have, or that are known
	Help    string   // a line for people
}

// Parse reads a value that may have come as text or from JSON. As in QEMU the types of JSON do not
// matter, only what they look like: true is "on", and 65536.0 is 65536.
func (k Key) Parse(raw any) (any, error) { return k.parse(raw, nil) }

// parse is Parse with another grammar for sizes, if there is one.
func (k Key) parse(raw any, sizes SizeGrammar) (any, error) {
	text, ok := Text(raw)
	if !ok {
		return nil, Refuse("Invalid parameter type for '%s', expected: string", k.Name)
	}
	switch k.Type {
	case TypeBool:
		return parseBool(k.Name, text)
	case TypeInt:
		n, err := strconv.ParseInt(text, 0, 64)
		if errors.Is(err, strconv.ErrRange) {
			return nil, Refuse("Value '%s' is too large for parameter '%s'", text, k.Name)
		}
		if err != nil {
			return nil, Refuse("Parameter '%s' expects a number", k.Name)
		}
		return n, nil
	case TypeSize:
		return k.size(text, sizes)
	case TypeEnum:
		if !slices.Contains(k.Enum, text) {
			return nil, &ValueError{k.Name, text, k.Enum}
		}
	}
	return text, nil
}

// size reads a size as QEMU has it or, where that fails, as another grammar does.
func (k Key) size(text string, by SizeGrammar) (uint64, error) {
	n, err := parseSize(k.Name, text)
	if err == nil || by == nil {
		return n, err
	}
	if n, err = by(text); err != nil {
		return 0, Refuse("Parameter '%s': %v", k.Name, err)
	}
	return n, nil
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
		if i := strings.IndexByte("bkmgtpe", s[len(s)-1]|0x20); i >= 0 &&
			!strings.HasPrefix(s, "0x") {
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
	if err != nil || strings.Trim(digits, "0123456789.") != "" || digits[0] == '.' || shift == 0 &&
		f != math.Trunc(f) {
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

// Declared says whether keys take an option called name.
func Declared(keys []Key, name string) bool {
	for _, k := range keys {
		switch k.Type {
		case TypeChild:
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
