// Package args turns the words a person typed into values.
//
// A line becomes words by [SplitSpaces] (qemu-io's way) or [SplitNative] (quotes, comments and
// json: names). The words of a command, or of the process, become flags and operands by [Getopt]
// and [GetoptLong], which behave and complain as the GNU C library does. A word becomes a number by
// a [Grammar]: each dialect of the shell reads numbers a little differently, and a grammar is the
// whole of that difference. Package units writes values back.
//
// Everything here is a pure function of its arguments: no session, no device, no output. Words come
// from scripts that others wrote, so no input panics, and no number is silently wrapped.
package args
