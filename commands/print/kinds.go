package print

import (
	"errors"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
)

// kind is a row of the schema together with how its fields are had from an event.
type kind struct {
	Kind
	sample  event.Event // the least event of the kind
	getters []getter
}

// getter gets the value of a field, nil if it has nothing to say.
type getter struct {
	Field
	get func(e event.Event) any
}

// fieldOf is a getter for events of one type.
type fieldOf[E event.Event] struct {
	Field
	get func(e E) any
}

// must is a field that is always there, may one that is left out where get returns nil.
func must[E event.Event](name string, t Type, doc string, get func(e E) any) fieldOf[E] {
	return fieldOf[E]{Field{name, t, true, doc}, get}
}

func may[E event.Event](name string, t Type, doc string, get func(e E) any) fieldOf[E] {
	return fieldOf[E]{Field{name, t, false, doc}, get}
}

// of is a kind of event, failure one that says why a command failed.
func of[E event.Event](name, doc string, fields ...fieldOf[E]) kind {
	var sample E
	k := kind{Kind: Kind{Name: name, Doc: doc}, sample: sample}
	for _, f := range fields {
		k.Fields = append(k.Fields, f.Field)
		k.getters = append(k.getters, getter{f.Field, func(e event.Event) any {
			if is, ok := e.(E); ok {
				return f.get(is)
			}
			return nil
		}})
	}
	return k
}

func failure[E event.Event](name, doc string, fields ...fieldOf[E]) kind {
	k := of(name, doc, fields...)
	k.Failure = true
	return k
}

// caused is the fields about the error that an event carries.
func caused[E interface {
	event.Event
	Cause() error
}](more ...fieldOf[E],
) []fieldOf[E] {
	return append(more,
		may("errno", Text, "name of the error number, such as EIO", func(e E) any { return errnoName(e.Cause()) }),
		may("offset", Int, "of the request that failed, in bytes", func(e E) any {
			if at := requestOf(e.Cause()); at != nil {
				return at.Off
			}
			return nil
		}),
		may("length", Int, "of the request that failed, in bytes", func(e E) any {
			if at := requestOf(e.Cause()); at != nil {
				return at.Len
			}
			return nil
		}),
		may("holder", Object, "the process that holds the image: pid and command", func(e E) any { return holderOf(e.Cause()) }),
	)
}

// requestOf is the request that failed, nil if the error knows none.
func requestOf(err error) *blockdev.Error {
	var at *blockdev.Error
	if !errors.As(err, &at) || at.Op == "flush" || at.Op == "check" {
		return nil
	}
	return at
}

func errnoName(err error) any {
	if errors.Is(err, blockdev.ErrReadOnly) {
		return "EPERM"
	}
	var no syscall.Errno
	if !errors.As(err, &no) {
		return nil
	}
	if name := unix.ErrnoName(no); name != "" {
		return name
	}
	return strconv.Itoa(int(no))
}

func holderOf(err error) any {
	var held driver.Held
	if !errors.As(err, &held) {
		return nil
	}
	p, err := held.Holder()
	if err != nil {
		return nil
	}
	return map[string]any{"pid": p.PID, "command": p.Command}
}

// text leaves out what is empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func texts(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// flag leaves out what is not so.
func flag(is bool) any {
	if !is {
		return nil
	}
	return true
}

// kinds is the table of all kinds of objects by their names. It is made when first needed: most runs write no JSON.
var kinds = sync.OnceValue(func() map[string]kind {
	table := map[string]kind{}
	for _, list := range [][]kind{resultKinds(), dataKinds(), verifyKinds(), shellKinds(), failureKinds(), usageKinds()} {
		for _, k := range list {
			table[k.Name] = k
		}
	}
	return table
})

func isFailure(e event.Event) bool { return kinds()[e.Kind()].Failure }
