package commands

// ReadOnly is readOnly for tests.
var ReadOnly = readOnly
