package dialect

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// TestNativeStatus is what help status promises.
func TestNativeStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{event.Fail(event.Mismatch{}), 1},
		{session.Shown(event.Fail(event.Unsound{})), 1},
		{event.Fail(event.Unexpected{}), 1},
		{event.Fail(event.BadCount{}), 2},
		{event.Fail(event.ScriptFailed{Err: syscall.ENOENT}), 2},
		{event.Fail(event.Failed{Op: "write", Err: &blockdev.AlignError{}}), 2},
		{event.Fail(event.Report{Err: blockdev.ErrReadOnly}), 2},
		{event.Fail(event.Report{Err: errors.New("refused")}), 2},
		{blockdev.ErrReadOnly, 2},
		{event.Fail(event.OpenFailed{Err: syscall.ENOENT}), 3},
		{event.Fail(event.OpenFailed{Err: fmt.Errorf("locked: %w", syscall.EAGAIN)}), 4},
		{event.Fail(event.Report{Err: syscall.EBUSY}), 4},
		{event.Fail(event.Failed{Op: "write", Err: syscall.EIO}), 5},
		{event.Fail(event.Report{Err: syscall.EIO}), 5},
		{event.Fail(event.CloseFailed{Err: syscall.ENOSPC}), 5},
		{event.Fail(event.Abandoned{Requests: 1}), 5},
		{&session.OutputError{Err: syscall.ENOSPC}, 5},
		{fmt.Errorf("%w: %w", session.ErrInterrupted, event.Fail(event.Failed{Err: syscall.EIO})), 130},
		{event.Fail(event.Interrupted{}), 130},
		{&session.OutputError{Err: &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}}, 141},
	} {
		if got := nativeStatus(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// TestEveryFailureHasAStatus holds the class and the status of every event that a command may fail
// with against a list for people to read. The errors that some tell of are the system's.
func TestEveryFailureHasAStatus(t *testing.T) {
	want := map[int]string{
		statusData: "Damaged Different ForeignChanges ImageCutShort Mismatch NotFound NotZero NothingShown NothingVerified OtherLength OtherStatus " +
			"Unexpected WireUnexpected",
		statusUsage: "BadCount BadNumber BadOption BadValue Conflict FileOpen HelpUnknown NoFile NoImage NoRequest NotAgreed NotConfirmed NothingMerged " +
			"TooLong Unaligned UnknownCommand Usage VecTooLong",
		statusOpen:        "OpenFailed",
		statusIO:          "Abandoned BreakFailed CloseFailed Failed FileError MergeFailed Report ScriptFailed",
		statusInterrupted: "Interrupted",
	}
	got := map[int][]string{}
	for _, e := range event.All() {
		if _, fails := e.(event.Reason); !fails {
			continue
		}
		v := reflect.New(reflect.TypeOf(e)).Elem()
		if err := v.FieldByName("Err"); err.IsValid() {
			err.Set(reflect.ValueOf(syscall.EIO))
		}
		status := nativeStatus(event.Fail(v.Interface().(event.Reason)))
		got[status] = append(got[status], v.Type().Name())
	}
	for status := range statusInterrupted + 1 {
		slices.Sort(got[status])
		if names := strings.Join(got[status], " "); names != want[status] {
			t.Errorf("status %d: %s\nwant %s", status, names, want[status])
		}
	}
}
