package driver

import (
	"context"
	"slices"
)

// Event is a step of a driver that a breakpoint or an injected error can be tied to; 0 is none.
// Names and places are QEMU's.
type Event uint8

// The events, in QEMU's order of declaration. A guard fires those of flushes, of writes as a whole
// (Pwritev) and of copy-on-read (Cor) at the node it guards; a format fires the others at its file
// child.
const (
	EvL1Update Event = iota + 1
	EvL1GrowAllocTable
	EvL1GrowWriteTable
	EvL1GrowActivateTable
	EvL2Load
	EvL2Update
	EvL2UpdateCompressed
	EvL2AllocCowRead
	EvL2AllocWrite
	EvReadAIO
	EvReadBackingAIO
	EvReadCompressed
	EvWriteAIO
	EvWriteCompressed
	EvVMStateLoad
	EvVMStateSave
	EvCowRead
	EvCowWrite
	EvReftableLoad
	EvReftableGrow
	EvReftableUpdate
	EvRefblockLoad
	EvRefblockUpdate
	EvRefblockUpdatePart
	EvRefblockAlloc
	EvRefblockAllocHookup
	EvRefblockAllocWrite
	EvRefblockAllocWriteBlk
	EvRefblockAllocWriteTab
	EvRefblockAllocSwitch
	EvClusterAlloc
	EvClusterAllocBytes
	EvClusterAllocSpace
	EvClusterFree
	EvFlushToOS
	EvFlushToDisk
	EvPwritevRMWHead
	EvPwritevRMWAfterHead
	EvPwritevRMWTail
	EvPwritevRMWAfterTail
	EvPwritev
	EvPwritevZero
	EvPwritevDone
	EvEmptyImagePrepare
	EvL1ShrinkWriteTable
	EvL1ShrinkFreeL2
	EvCorWrite
	EvNone
)

// eventNames are in the order of the events.
var eventNames = [...]string{
	"l1_update", "l1_grow_alloc_table", "l1_grow_write_table", "l1_grow_activate_table", "l2_load",
	"l2_update", "l2_update_compressed", "l2_alloc_cow_read", "l2_alloc_write", "read_aio",
	"read_backing_aio", "read_compressed", "write_aio", "write_compressed", "vmstate_load",
	"vmstate_save", "cow_read", "cow_write", "reftable_load", "reftable_grow", "reftable_update",
	"refblock_load", "refblock_update", "refblock_update_part", "refblock_alloc",
	"refblock_alloc_hookup", "refblock_alloc_write", "refblock_alloc_write_blocks",
	"refblock_alloc_write_table", "refblock_alloc_switch_table", "cluster_alloc",
	"cluster_alloc_bytes", "cluster_alloc_space", "cluster_free", "flush_to_os", "flush_to_disk",
	"pwritev_rmw_head", "pwritev_rmw_after_head", "pwritev_rmw_tail", "pwritev_rmw_after_tail",
	"pwritev", "pwritev_zero", "pwritev_done", "empty_image_prepare", "l1_shrink_write_table",
	"l1_shrink_free_l2_clusters", "cor_write", "none",
}

func (e Event) String() string { return eventNames[e-1] }

// EventNames are all names, in the order of the events.
func EventNames() []string { return eventNames[:] }

// EventNamed is the event of that name, 0 if there is none.
func EventNamed(name string) Event { return Event(slices.Index(eventNames[:], name) + 1) }

// EventSink is a node that wants to know of events.
type EventSink interface {
	// OnEvent is told of a step before it is done. It may wait, and returns an error only if ctx
	// ended meanwhile.
	OnEvent(ctx context.Context, e Event) error
}

// Fire tells the driver of exactly this node (behind its guard, if it has one) that a request
// reached the step e.
func Fire(ctx context.Context, n Node, e Event) error {
	if s, ok := n.(EventSink); ok {
		return s.OnEvent(ctx, e)
	}
	return nil
}
