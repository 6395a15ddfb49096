package driver

import (
	"reflect"
	"slices"
	"testing"
)

// passed are the methods of Node that a Filter passes on.
var passed = []string{
	"Discard", "Flush", "Info", "ReadVec", "Status", "Truncate", "WriteVec",
	"Zero",
}

// A Filter passes on what it is known to and no more: one that fails writes must not let a new kind
// of write slip through.
func TestFilterPasses(t *testing.T) {
	for m := range reflect.TypeFor[Node]().Methods() {
		if !m.IsExported() {
			continue
		}
		if got := reachesNext(m.Name); got != slices.Contains(passed, m.Name) {
			t.Errorf("%s reaches the next node: %v", m.Name, got)
		}
	}
}

// reachesNext calls a method of a Filter over nothing, which panics where it is passed on.
func reachesNext(name string) (reached bool) {
	defer func() { reached = recover() != nil }()
	method := reflect.ValueOf(Filter{}).MethodByName(name)
	args := make([]reflect.Value, method.Type().NumIn())
	for i := range args {
		args[i] = reflect.Zero(method.Type().In(i))
	}
	method.Call(args)
	return false
}
