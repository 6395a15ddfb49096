package print

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Validate holds one line of output against the schema.
func Validate(line []byte) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object in a line")
	}
	name, _ := object["kind"].(string)
	schema := Schema()
	i := slices.IndexFunc(schema, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return fmt.Errorf("unknown kind %q", name)
	}
	k := schema[i]
	fields := append(Envelope(), k.Fields...)
	for key, value := range object {
		if err := checkField(fields, key, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return missing(name, k, fields, object)
}

func checkField(fields []Field, key string, value any) error {
	for _, f := range fields {
		switch {
		case f.Type == Path && key == f.Name+pathSuffix:
			return checkType(Base64, key, value)
		case key == f.Name:
			return checkType(f.Type, key, value)
		}
	}
	return fmt.Errorf("unknown field %q", key)
}

func checkType(t Type, key string, value any) error {
	ok := false
	switch t {
	case Text, Path:
		_, ok = value.(string)
	case Bool:
		_, ok = value.(bool)
	case Int:
		if n, isNumber := value.(json.Number); isNumber {
			_, err := n.Int64()
			ok = err == nil
		}
	case ID:
		_, isText := value.(string)
		_, isNumber := value.(json.Number)
		ok = isText || isNumber
	case Base64:
		if s, isText := value.(string); isText {
			_, err := base64.StdEncoding.DecodeString(s)
			ok = err == nil
		}
	case Object:
		_, ok = value.(map[string]any)
	case Texts:
		ok = allAre[string](value)
	case List:
		ok = allAre[map[string]any](value)
	}
	if !ok {
		return fmt.Errorf("field %q is no %s: %v", key, t, value)
	}
	return nil
}

func allAre[T any](value any) bool {
	list, ok := value.([]any)
	return ok && !slices.ContainsFunc(list, func(v any) bool {
		_, is := v.(T)
		return !is
	})
}

// missing finds what an object must have and has not.
func missing(name string, k Kind, fields []Field, object map[string]any) error {
	for _, f := range fields {
		_, has := object[f.Name]
		if !has && f.Type == Path {
			_, has = object[f.Name+pathSuffix]
		}
		if f.Always && !has {
			return fmt.Errorf("%s: no field %q", name, f.Name)
		}
	}
	_, failed := object["error"]
	if _, said := object["message"]; k.Failure && (!failed || !said) {
		return fmt.Errorf("%s: a failure without error and message", name)
	}
	return nil
}
