package event

import "slices"

// Timeless is e without what a clock said: how long something took, and when it was. Two runs that
// do the same then say the same.
func Timeless(e Event) Event {
	switch e := e.(type) {
	case BlocksWritten:
		e.Elapsed = 0
		return e
	case Damaged:
		e.Elapsed = 0
		return e
	case Info:
		e.Snapshots = timelessSnapshots(e.Snapshots)
		return e
	case Load:
		e.Elapsed, e.User, e.System, e.Latency = 0, 0, 0, Latency{}
		return e
	case LoadSpread:
		return LoadSpread{Mode: e.Mode, Runs: e.Runs}
	case NothingVerified:
		e.Elapsed = 0
		return e
	case Performance:
		e.Phases, e.All = timelessPhases(e.Phases), timelessPhases(e.All)
		return e
	case Queued:
		e.Elapsed = 0
		return e
	case SnapshotChanged:
		e.Snapshot.Seconds, e.Snapshot.Nanoseconds = 0, 0
		return e
	case Snapshots:
		e.List = timelessSnapshots(e.List)
		return e
	case Timed:
		return Timed{}
	case Transfer:
		e.Elapsed = 0
		return e
	case Verdict:
		e.Elapsed = 0
		return e
	case WireDone:
		e.Duration = 0
		return e
	case WireReply:
		e.Duration = 0
		return e
	}
	return e
}

func timelessPhases(list []Phase) []Phase {
	list = slices.Clone(list)
	for i := range list {
		list[i].Elapsed, list[i].Latency = 0, Latency{}
	}
	return list
}

func timelessSnapshots(list []Snapshot) []Snapshot {
	list = slices.Clone(list)
	for i := range list {
		list[i].Seconds, list[i].Nanoseconds = 0, 0
	}
	return list
}
