// Package commands is the commands of the shell, one family a file.
//
// A command is a value: its synopsis, its help, and a function that declares flags, operands and
// checks and returns what to do with them. It asks the device and emits events; it formats nothing,
// and it does not know in which dialect it runs. To add one, write it and name it in All.
package commands

import "github.com/blksh/blksh/commands/session"

// all is every command there is, sorted by name.
var all = [...]*session.Command{
	&abort, &aioCancel, &aioDiscard, &aioFlush, &aioList, &aioRead, &aioWait, &aioWrite, &alloc,
	&amend, &bench, &bitmapCommand,
	&breakCommand, &capabilities, &check, &closeCommand, &commit, &compare, &copyCommand, &create,
	&discard, &edit, &exports, &find, &flush, &help, &images, &info, &isZero, &length,
	&luksCommand, &mapCommand, &measure, &mergeCommand, &multiwrite, &next, &open, &quit, &read,
	&readv, &rebase, &removeBreak, &reopen, &resize, &resume, &serve, &show, &sigraise, &sleep,
	&snapshotCommand, &sourceCommand, &sumCommand, &truncate, &undoCommand, &use, &verifyJob,
	&verifyRead, &verifyWrite, &version, &viewCommand, &waitBreak, &wireCommand, &write, &writev,
	&zoneAppend, &zoneClose, &zoneFinish, &zoneOpen, &zoneReport, &zoneReset,
}

// All is every command there is, sorted by name.
func All() []*session.Command { return all[:] }
