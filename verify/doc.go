// Package verify says whether data are what they should be, and if not, what
// happened to them.
//
// There are two ways to know what data should be:
//
// A [Pattern] says what belongs at each offset, so any piece of a device can be
// checked alone: [Check] compares, and tells which bytes are wrong and why.
package verify
