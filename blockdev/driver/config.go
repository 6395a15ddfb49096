package driver

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// The options of a driver are the fields of a struct, its Config. Tags say how an option is called,
// what it is when nobody gives it, which values it may have, and what a person should know:
//
//	type config struct {
//		File   driver.Child  `option:"file" help:"where the bytes are"`
//		Offset driver.Bytes  `option:"offset" default:"0" help:"where the image starts in its file, in bytes"`
//		Size   *driver.Bytes `option:"size" help:"length of the image in bytes"`
//		Mode   string        `option:"mode" default:"fast" values:"fast,safe" help:"how to write"`
//	}
//
// A field is a string, bool, int64 or Bytes, or a pointer to one, which is nil if the option was
// not given and has no default; a Child, a List or a Group; or a struct, whose options are called
// NAME.option, or as they are where it is embedded. What is no value of "values" is refused;
// "known" lists values of which the driver judges itself.

// Bytes is a number of bytes: the value of an option that is a size, or of a Detail.
type Bytes uint64

// Int is the size as an offset. One that is too large for any file is the largest.
func (b Bytes) Int() int64 { return int64(min(b, math.MaxInt64)) }

// Child is an option that is a layer below: options below NAME., or the name of a node as the value
// of NAME itself. The driver opens it by its Opening.
type Child struct{ key string }

func (c Child) String() string { return c.key }

// List is an option that is numbered, as NAME.0 or NAME.0.word, and holds all that was given below
// NAME. The driver refuses what it does not know of that.
type List struct{ Options }

// Group is an option that is a set of options, with all that was given below NAME. The driver
// refuses what it does not know of that.
type Group struct{ Options }

// field is an option and the place of its value in a struct.
type field struct {
	Key
	index []int
}

// fieldCache has the fields of each type of struct that was asked for.
var fieldCache sync.Map

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field)
	}
	fields := appendFields(nil, t, "", nil)
	fieldCache.Store(t, fields)
	return fields
}

func appendFields(fields []field, t reflect.Type, prefix string, at []int) []field {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		name, isOption := f.Tag.Lookup("option")
		kind, known := typeOf(f.Type)
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct && !isOption:
			fields = appendFields(fields, f.Type, prefix, index)
		case !isOption:
		case known:
			fields = append(fields, field{keyOf(f, prefix+name, kind), index})
		case f.Type.Kind() == reflect.Struct:
			fields = appendFields(fields, f.Type, prefix+name+".", index)
		default:
			panic(fmt.Sprintf("driver: the option %s of %s cannot be a %s", name, t, f.Type))
		}
	}
	return fields
}

func typeOf(t reflect.Type) (kind Type, ok bool) {
	switch t {
	case reflect.TypeFor[Child]():
		return TypeChild, true
	case reflect.TypeFor[List]():
		return TypeList, true
	case reflect.TypeFor[Group]():
		return TypeGroup, true
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[Bytes]():
		return TypeSize, true
	case reflect.TypeFor[string]():
		return TypeString, true
	case reflect.TypeFor[bool]():
		return TypeBool, true
	case reflect.TypeFor[int64]():
		return TypeInt, true
	}
	return 0, false
}

func keyOf(f reflect.StructField, name string, kind Type) Key {
	k := Key{Name: name, Type: kind, Default: f.Tag.Get("default"), Help: f.Tag.Get("help")}
	if values, ok := f.Tag.Lookup("values"); ok {
		k.Type, k.Enum = TypeEnum, strings.Split(values, ",")
	}
	if values, ok := f.Tag.Lookup("known"); ok {
		k.Enum = strings.Split(values, ",")
	}
	return k
}

// KeysOf are the options that a struct, or what a pointer points to, declares; nil for nil.
func KeysOf(config any) []Key {
	if config == nil {
		return nil
	}
	t := reflect.TypeOf(config)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var keys []Key
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.Key)
	}
	return keys
}

// NewConfig is a pointer to a struct like config with the values in o. What it takes is taken out
// of o. Errors are QEMU's, to the letter.
func NewConfig(config any, o *Options) (any, error) {
	if config == nil {
		return nil, nil
	}
	v := reflect.New(reflect.TypeOf(config))
	return v.Interface(), Fill(v.Interface(), o)
}

// Fill is NewConfig for a struct that is there.
func Fill(config any, o *Options) error {
	v := reflect.ValueOf(config).Elem()
	for _, f := range fieldsOf(v.Type()) {
		if err := f.fill(v.FieldByIndex(f.index), o); err != nil {
			return err
		}
	}
	return nil
}

func (f *field) fill(v reflect.Value, o *Options) error {
	switch f.Type {
	case TypeChild: // children are taken when they are opened
		v.Set(reflect.ValueOf(Child{f.Name}))
		return nil
	case TypeList, TypeGroup:
		v.Field(0).Set(reflect.ValueOf(*o.TakeSub(f.Name + ".")))
		return nil
	}
	raw, _ := o.Take(f.Name)
	if raw == nil { // not given, or null
		if f.Default == "" {
			return nil
		}
		raw = f.Default
	}
	parsed, err := f.parse(raw, o.sizes)
	if err != nil {
		return err
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	v.Set(reflect.ValueOf(parsed).Convert(v.Type()))
	return nil
}

// Differs names an option whose value is not the same in two structs of one type, "" if there is
// none. What a List or a Group only had before is kept.
func Differs(next, before any) string {
	if next == nil {
		return ""
	}
	a, b := reflect.ValueOf(next).Elem(), reflect.ValueOf(before).Elem()
	for _, f := range fieldsOf(a.Type()) {
		is, was := a.FieldByIndex(f.index), b.FieldByIndex(f.index)
		if f.Type == TypeList || f.Type == TypeGroup {
			now, old := is.Field(0).Interface().(Options), was.Field(0).Interface().(Options)
			if key := now.differs(&old); key != "" {
				return f.Name + "." + key
			}
		} else if !reflect.DeepEqual(is.Interface(), was.Interface()) {
			return f.Name
		}
	}
	return ""
}
