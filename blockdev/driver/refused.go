package driver

import (
	"fmt"
	"syscall"
)

// The refusals of this file are types, since not every version of QEMU words them alike. Their own
// words are the newest ones. Each has a Refusal inside.

// UnsupportedError says that an image uses what its driver does not know: Features by name or, if
// there are none, a Version of the format.
type UnsupportedError struct {
	Format   string
	Version  uint32
	Features string
}

func (e *UnsupportedError) Error() string {
	if e.Features == "" {
		return fmt.Sprintf("Unsupported %s version %d", e.Format, e.Version)
	}
	return fmt.Sprintf("Unsupported %s feature(s): %s", e.Format, e.Features)
}

// Unwrap is ENOTSUP.
func (e *UnsupportedError) Unwrap() error { return refusal(e, syscall.ENOTSUP) }

// UnknownOptionError says that a driver has no such option, only Options. Protocol: it stores bytes
// itself.
type UnknownOptionError struct {
	Driver, Option string
	Protocol       bool
	Options        []string
}

func (e *UnknownOptionError) Error() string {
	if e.Protocol {
		return fmt.Sprintf("Block protocol '%s' doesn't support the option '%s'", e.Driver,
			e.Option)
	}
	return fmt.Sprintf("Block format '%s' does not support the option '%s'", e.Driver, e.Option)
}

// Choice is an error about a word that is none of those that there are.
type Choice interface {
	// Choices are the word, and those that would do.
	Choices() (word string, from []string)
}

var _, _, _, _ Choice = (*UnknownOptionError)(nil), (*ValueError)(nil), (*ParameterError)(nil),
	(*DriverError)(nil)

// Choices are the options of the driver.
func (e *UnknownOptionError) Choices() (word string, from []string) { return e.Option, e.Options }

// ValueError says that an option cannot have a Value. Values are those that it can have.
type ValueError struct {
	Option, Value string
	Values        []string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("Parameter '%s' does not accept value '%s'", e.Option, e.Value)
}

// Choices are the values.
func (e *ValueError) Choices() (word string, from []string) { return e.Value, e.Values }

// ParameterError says that a format has no such option when an image is made or amended. Options
// are those that it has.
type ParameterError struct {
	Option  string
	Options []string
}

func (e *ParameterError) Error() string { return fmt.Sprintf("Invalid parameter '%s'", e.Option) }

// Choices are the options of the format.
func (e *ParameterError) Choices() (word string, from []string) { return e.Option, e.Options }

// DriverError says that there is no driver of a Name. Names are those that there are.
type DriverError struct {
	Name  string
	Names []string
}

func (e *DriverError) Error() string { return fmt.Sprintf("Unknown driver '%s'", e.Name) }

// Choices are the drivers.
func (e *DriverError) Choices() (word string, from []string) { return e.Name, e.Names }

// ConnectError says that a server cannot be reached. Where is a path, or host and port.
type ConnectError struct {
	Where string
	Err   error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("Failed to connect to '%s': %v", e.Where, e.Err)
}

// Unwrap is why.
func (e *ConnectError) Unwrap() error { return e.Err }

// NoFileNameError says that a driver was not told the name of its file.
type NoFileNameError struct{ Driver string }

func (e *NoFileNameError) Error() string {
	return fmt.Sprintf("The '%s' block driver requires a file name", e.Driver)
}

// TableOffsetError says that a header names a place where a table cannot be.
type TableOffsetError struct{ Table string }

func (e *TableOffsetError) Error() string { return e.Table + " offset invalid" }

// Unwrap is EINVAL.
func (e *TableOffsetError) Unwrap() error { return refusal(e, syscall.EINVAL) }

// ClusterOffsetError says that an entry of a table names a place where a cluster cannot begin:
// Offset, in the entry Index of the table at Table.
type ClusterOffsetError struct{ Offset, Table, Index int64 }

func (e *ClusterOffsetError) Error() string {
	return fmt.Sprintf("Cluster allocation offset %s unaligned (L2 offset: %s, L2 index: %s)",
		Hex(e.Offset), Hex(e.Table), Hex(e.Index))
}

// Hex prints a number as C's %#x does: zero has no prefix.
func Hex[T int | int64 | uint64](n T) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}

// ShrinkError says that a format cannot make its images shorter.
type ShrinkError struct{ Format string }

func (e *ShrinkError) Error() string { return e.Format + " doesn't support shrinking images yet" }

// Unwrap is ErrNotSupported.
func (e *ShrinkError) Unwrap() error { return refusal(e, ErrNotSupported) }

// WholeSectorsError says that the length of an image must be a multiple of Sector bytes.
type WholeSectorsError struct{ Sector int64 }

func (e *WholeSectorsError) Error() string {
	return fmt.Sprintf("The new size must be a multiple of %d", e.Sector)
}

// Unwrap is EINVAL.
func (e *WholeSectorsError) Unwrap() error { return refusal(e, syscall.EINVAL) }

// refusal is the Refusal in a typed one.
func refusal(e, cause error) *Refusal { return &Refusal{Text: e.Error(), Err: cause} }

// NoKeyError says that an encrypted image was to be opened for its data without a key. Option is
// the one that says where the key is.
type NoKeyError struct{ Option string }

func (e *NoKeyError) Error() string {
	return fmt.Sprintf("Parameter '%s' is required for cipher", e.Option)
}

// Unwrap is EINVAL.
func (e *NoKeyError) Unwrap() error { return refusal(e, syscall.EINVAL) }
