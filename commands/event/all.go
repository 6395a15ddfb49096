package event

// All is the least event of each kind, sorted.
func All() []Event {
	return []Event{
		Abandoned{}, Alloc{}, Amended{}, Appended{}, BadCount{}, BadNumber{}, BadOption{},
		BadRange{}, BadValue{}, BitmapChanged{}, BitmapListed{}, BitmapsRetired{}, BlocksWritten{},
		BreakFailed{}, Bytes{}, Canceled{}, Capabilities{}, Checked{}, Client{}, CloseFailed{},
		Closed{}, Committed{}, Conflict{}, Copied{}, Created{}, Damaged{}, DeviceBusy{},
		Different{}, DirtyRun{}, DirtyTotals{}, Done{}, Drawing{}, Drawn{}, Dump{}, Dumped{},
		Edited{}, Exit{}, Export{}, Failed{}, FileError{}, FileOpen{}, Flushed{}, ForeignChanges{},
		Found{}, HelpBody{}, HelpList{}, HelpUnknown{}, HexSuffix{}, ImageCutShort{}, Info{},
		Injected{}, InputIgnored{}, Interrupted{}, JobNote{}, JobNotes{}, KeyChanged{}, KeySlots{},
		Length{}, Lengths{}, Listed{}, Load{}, LoadSpread{}, MapCut{}, MapEmpty{}, MapHead{},
		MapRun{}, MapTotals{}, Measured{}, MergeFailed{}, MergeIdle{}, Merged{}, Mismatch{},
		NoFile{}, NoImage{}, NoRequest{}, NotAgreed{}, NotConfirmed{}, NotFound{}, NotVerified{},
		NotZero{}, NothingMerged{}, NothingOpen{}, NothingShown{}, NothingVerified{}, OpenFailed{},
		Opened{}, OtherLength{}, OtherStatus{}, Performance{}, Queued{}, Rebased{}, Reopened{},
		Report{}, Reported{}, Resized{}, Resumed{}, Same{}, ScriptFailed{}, Searched{}, Seed{},
		Serving{}, Shard{}, ShortOption{}, Shown{}, SnapshotChanged{}, Snapshots{}, Sum{},
		SumPart{}, Suspended{}, Synopsis{}, Timed{}, TooLong{}, Transfer{}, Unaligned{},
		Uncommitted{}, Undone{}, Unexpected{}, Unfinished{}, UnknownCommand{}, Usage{},
		VecTooLong{}, Verdict{}, Verified{}, Version{}, Warning{}, WireDone{}, WireReply{},
		WireUnexpected{}, Zero{}, Zone{},
	}
}
