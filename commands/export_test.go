package commands

// ReadOnly is readOnly for tests.
var ReadOnly = readOnly

// CopyRecord is copyRecord, and ReadCopy readCopy, for tests.
type CopyRecord = copyRecord

// ReadCopy reads the journal of a copy.
var ReadCopy = readCopy
