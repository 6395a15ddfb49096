package event

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// Nothing that a clock says is left in any event, also in those that are made later.
func TestTimeless(t *testing.T) {
	for _, e := range All() {
		v := reflect.New(reflect.TypeOf(e)).Elem()
		fill(v, deepest)
		if left := clocks(reflect.ValueOf(Timeless(v.Interface().(Event))), nil); len(left) > 0 {
			t.Errorf("%s tells of a time: Timeless wants a case for %s", v.Type(),
				strings.Join(left, ", "))
		}
	}
	list := []Phase{{Elapsed: 1}}
	if Timeless(Performance{Phases: list}); list[0].Elapsed != 1 {
		t.Error("what others hold is changed")
	}
}

// isClock says whether a field is about time: by its type, or by its name where it is a number.
func isClock(f reflect.StructField) bool {
	told := f.Tag.Get("json")
	return f.Type == reflect.TypeFor[time.Duration]() || strings.HasPrefix(told, "elapsed_ns") ||
		strings.HasPrefix(told, "date_")
}

// deepest is how many lists in lists are looked at: some types have themselves inside.
const deepest = 4

// fill makes every time in v, and in one element of each list of it, another than zero.
func fill(v reflect.Value, deep int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case !f.IsExported():
			case isClock(f):
				v.Field(i).SetInt(7)
			default:
				fill(v.Field(i), deep)
			}
		}
	case reflect.Slice:
		if deep > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), deep-1)
		}
	}
}

// clocks are the fields of v that are a time and not zero.
func clocks(v reflect.Value, path []string) (left []string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			at := append(path[:len(path):len(path)], f.Name)
			switch {
			case !f.IsExported():
			case isClock(f) && v.Field(i).Int() != 0:
				left = append(left, strings.Join(at, "."))
			case !isClock(f):
				left = append(left, clocks(v.Field(i), at)...)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			left = append(left, clocks(v.Index(i), path)...)
		}
	}
	return left
}
