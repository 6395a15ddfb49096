package event

import (
	"fmt"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/units"
)

// Snapshot is a snapshot inside an image.
type Snapshot struct {
	ID          string `json:"id" doc:"its id, which no other has"`
	Name        string `json:"name" doc:"its name, which others may have too"`
	Size        int64  `json:"size" unit:"bytes" doc:"of the disk"`
	VMStateSize int64  `json:"vm_state_size" unit:"bytes" doc:"of the machine state in it"`
	Seconds     int64  `json:"date_sec" doc:"when it was made, in seconds since 1970"`
	Nanoseconds int64  `json:"date_nsec" unit:"ns" doc:"and the rest of that"`
	VMClock     int64  `json:"vm_clock_ns" unit:"ns" doc:"how long the machine had run"`
	ICount      int64  `json:"icount" omit:"negative" doc:"instructions that the machine had executed, if that is known"`
}

// SnapshotOf is a snapshot as events have it.
func SnapshotOf(s blockdev.Snapshot) Snapshot {
	return Snapshot{
		ID: s.ID, Name: s.Name, Size: s.Size, VMStateSize: s.VMStateSize, Seconds: s.Time.Unix(),
		Nanoseconds: int64(s.Time.Nanosecond()), VMClock: s.VMClock.Nanoseconds(), ICount: s.ICount,
	}
}

// Snapshots lists the snapshots inside an image, in its order.
type Snapshots struct {
	List []Snapshot `json:"snapshots" doc:"the snapshots"`
}

// Kind of the event.
func (Snapshots) Kind() Kind { return Kind{"snapshots", "The snapshots inside an image."} }

// SnapshotChanged says that a snapshot was made, applied or deleted.
type SnapshotChanged struct {
	Action   string   `json:"action" doc:"create, apply or delete"`
	Snapshot Snapshot `json:"snapshot" doc:"which one"`
}

// Kind of the event.
func (SnapshotChanged) Kind() Kind {
	return Kind{"snapshot", "A snapshot inside an image was made, applied or deleted."}
}

// Words of the event.
func (s SnapshotChanged) Words() string {
	done := map[string]string{"create": "made", "apply": "applied", "delete": "deleted"}[s.Action]
	return fmt.Sprintf("%s snapshot %s, %q: %s", done, s.Snapshot.ID, s.Snapshot.Name,
		units.Exact(s.Snapshot.Size))
}
