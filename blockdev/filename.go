package blockdev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

const jsonPrefix = "json:"

// maxJSONDepth is how deep a json: name may nest.
const maxJSONDepth = 64

// maxOptions is how many keys one name or option string may have.
const maxOptions = 4096

// emptyGroup is the value of a key that holds {} or [].
type emptyGroup struct{}

// ParseJSONName turns json:{...} into options. Strings may stand in single quotes, as QEMU allows;
// nested objects and lists become dotted keys.
func ParseJSONName(name string) (*Options, error) {
	text, err := doubleQuoted(strings.TrimPrefix(name, jsonPrefix))
	if err != nil {
		return nil, driver.Refuse("Could not parse the JSON options: %w", err)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil {
		return nil, driver.Refuse("Could not parse the JSON options: %w", jsonError(err))
	}
	if first != json.Delim('{') {
		return nil, driver.Refuse("Invalid JSON object given")
	}
	var o Options
	if err := flattenObject(dec, "", &o, 0); err != nil {
		return nil, driver.Refuse("Could not parse the JSON options: %w", jsonError(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, driver.Refuse("Could not parse the JSON options: something follows the object")
	}
	return &o, nil
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the text ends too early")
	}
	return err
}

// doubleQuoted rewrites single-quoted strings as JSON has them.
func doubleQuoted(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch quote := s[i]; quote {
		default:
			b.WriteByte(quote)
		case '"', '\'':
			b.WriteByte('"')
			for i++; ; i++ {
				if i >= len(s) {
					return "", errors.New("a string has no end")
				}
				if s[i] == quote {
					break
				}
				switch {
				case s[i] == '\\' && i+1 < len(s):
					i++
					if s[i] != '\'' {
						b.WriteByte('\\')
					}
					b.WriteByte(s[i])
				case s[i] == '"':
					b.WriteString(`\"`)
				default:
					b.WriteByte(s[i])
				}
			}
			b.WriteByte('"')
		}
	}
	return b.String(), nil
}

// flattenObject reads members up to the closing brace.
func flattenObject(dec *json.Decoder, prefix string, o *Options, depth int) error {
	empty := true
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		empty = false
		if err := flattenValue(dec, prefix+key.(string), o, depth); err != nil {
			return err
		}
	}
	return closeGroup(dec, prefix, o, empty)
}

func flattenList(dec *json.Decoder, prefix string, o *Options, depth int) error {
	i := 0
	for ; dec.More(); i++ {
		if err := flattenValue(dec, prefix+strconv.Itoa(i), o, depth); err != nil {
			return err
		}
	}
	return closeGroup(dec, prefix, o, i == 0)
}

func closeGroup(dec *json.Decoder, prefix string, o *Options, empty bool) error {
	if _, err := dec.Token(); err != nil {
		return err
	}
	if empty && prefix != "" {
		o.Set(strings.TrimSuffix(prefix, "."), emptyGroup{})
	}
	return nil
}

func flattenValue(dec *json.Decoder, key string, o *Options, depth int) error {
	if depth >= maxJSONDepth {
		return errors.New("nested too deep")
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if o.Len() >= maxOptions {
		return fmt.Errorf("more than %d options", maxOptions)
	}
	if o.Has(key) {
		return fmt.Errorf("duplicate key %q", key)
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '{' {
			return flattenObject(dec, key+".", o, depth+1)
		}
		return flattenList(dec, key+".", o, depth+1)
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			o.Set(key, n)
		} else if u, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			o.Set(key, u)
		} else if f, err := v.Float64(); err == nil {
			o.Set(key, f)
		} else {
			return err
		}
	default: // string, bool, nil
		o.Set(key, v)
	}
	return nil
}

// ParseOptionString reads "key=value,key=value", in which a comma that is part of a value is
// written twice. A first word without a key is the value of implied, if that is not "". A later
// word without a value switches its key on, and off if it begins with "no". A key that nobody
// knows, the empty one among them, is found when the image is opened.
func ParseOptionString(s, implied string) (*Options, error) {
	return ParseShortOptions(s, implied, func(string, string, bool) {})
}

// ParseShortOptions is ParseOptionString, and tells short of each word without a value: the word as
// it was typed, the key, and whether it switches that off.
func ParseShortOptions(
	s, implied string, short func(word, key string, off bool),
) (*Options, error) {
	var o Options
	for first := true; s != ""; first = false {
		key, rest := s, ""
		hasValue := false
		if i := strings.IndexAny(s, "=,"); i >= 0 {
			key, rest, hasValue = s[:i], s[i+1:], s[i] == '='
		}
		value := "on"
		switch {
		case hasValue:
			value, s = optionValue(rest)
		case first && implied != "":
			key = implied
			value, s = optionValue(s)
		default:
			s = rest
			word := key
			if off, ok := strings.CutPrefix(key, "no"); ok && off != "" {
				key, value = off, "off"
			}
			short(word, key, value == "off")
		}
		if o.Len() >= maxOptions {
			return nil, driver.Refuse("More than %d options", maxOptions)
		}
		o.Set(key, value)
	}
	return &o, nil
}

// optionValue reads up to a single comma.
func optionValue(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == ',' {
			if i+1 >= len(s) || s[i+1] != ',' {
				return b.String(), s[i+1:]
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
