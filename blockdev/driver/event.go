package driver

import "context"

// EventName names a step of a driver that a breakpoint or an injected error can be tied to. Names
// and places are QEMU's.
type EventName string

// The events. A guard fires the first group at the node it guards; a format fires the others at its
// file child.
const (
	EvPwritev             EventName = "pwritev"
	EvPwritevZero         EventName = "pwritev_zero"
	EvPwritevDone         EventName = "pwritev_done"
	EvPwritevRMWHead      EventName = "pwritev_rmw_head"
	EvPwritevRMWAfterHead EventName = "pwritev_rmw_after_head"
	EvPwritevRMWTail      EventName = "pwritev_rmw_tail"
	EvPwritevRMWAfterTail EventName = "pwritev_rmw_after_tail"
	EvCorWrite            EventName = "cor_write"
	EvFlushToOS           EventName = "flush_to_os"
	EvFlushToDisk         EventName = "flush_to_disk"

	EvNone                  EventName = "none"
	EvL1Update              EventName = "l1_update"
	EvL1GrowAllocTable      EventName = "l1_grow_alloc_table"
	EvL1GrowWriteTable      EventName = "l1_grow_write_table"
	EvL1GrowActivateTable   EventName = "l1_grow_activate_table"
	EvL1ShrinkWriteTable    EventName = "l1_shrink_write_table"
	EvL1ShrinkFreeL2        EventName = "l1_shrink_free_l2_clusters"
	EvL2Load                EventName = "l2_load"
	EvL2Update              EventName = "l2_update"
	EvL2UpdateCompressed    EventName = "l2_update_compressed"
	EvL2AllocCowRead        EventName = "l2_alloc_cow_read"
	EvL2AllocWrite          EventName = "l2_alloc_write"
	EvReadAIO               EventName = "read_aio"
	EvReadBackingAIO        EventName = "read_backing_aio"
	EvReadCompressed        EventName = "read_compressed"
	EvWriteAIO              EventName = "write_aio"
	EvWriteCompressed       EventName = "write_compressed"
	EvVMStateLoad           EventName = "vmstate_load"
	EvVMStateSave           EventName = "vmstate_save"
	EvCowRead               EventName = "cow_read"
	EvCowWrite              EventName = "cow_write"
	EvReftableLoad          EventName = "reftable_load"
	EvReftableGrow          EventName = "reftable_grow"
	EvReftableUpdate        EventName = "reftable_update"
	EvRefblockLoad          EventName = "refblock_load"
	EvRefblockUpdate        EventName = "refblock_update"
	EvRefblockUpdatePart    EventName = "refblock_update_part"
	EvRefblockAlloc         EventName = "refblock_alloc"
	EvRefblockAllocHookup   EventName = "refblock_alloc_hookup"
	EvRefblockAllocWrite    EventName = "refblock_alloc_write"
	EvRefblockAllocWriteBlk EventName = "refblock_alloc_write_blocks"
	EvRefblockAllocWriteTab EventName = "refblock_alloc_write_table"
	EvRefblockAllocSwitch   EventName = "refblock_alloc_switch_table"
	EvClusterAlloc          EventName = "cluster_alloc"
	EvClusterAllocBytes     EventName = "cluster_alloc_bytes"
	EvClusterAllocSpace     EventName = "cluster_alloc_space"
	EvClusterFree           EventName = "cluster_free"
	EvEmptyImagePrepare     EventName = "empty_image_prepare"
)

// Events is the whole list, in QEMU's order of declaration.
func Events() []EventName {
	return []EventName{
		EvL1Update, EvL1GrowAllocTable, EvL1GrowWriteTable, EvL1GrowActivateTable,
		EvL2Load, EvL2Update, EvL2UpdateCompressed, EvL2AllocCowRead, EvL2AllocWrite,
		EvReadAIO, EvReadBackingAIO, EvReadCompressed, EvWriteAIO, EvWriteCompressed, EvVMStateLoad,
		EvVMStateSave,
		EvCowRead, EvCowWrite, EvReftableLoad, EvReftableGrow, EvReftableUpdate, EvRefblockLoad,
		EvRefblockUpdate,
		EvRefblockUpdatePart, EvRefblockAlloc, EvRefblockAllocHookup, EvRefblockAllocWrite,
		EvRefblockAllocWriteBlk,
		EvRefblockAllocWriteTab, EvRefblockAllocSwitch, EvClusterAlloc, EvClusterAllocBytes,
		EvClusterAllocSpace, EvClusterFree,
		EvFlushToOS, EvFlushToDisk, EvPwritevRMWHead, EvPwritevRMWAfterHead, EvPwritevRMWTail,
		EvPwritevRMWAfterTail,
		EvPwritev, EvPwritevZero, EvPwritevDone, EvEmptyImagePrepare, EvL1ShrinkWriteTable,
		EvL1ShrinkFreeL2,
		EvCorWrite, EvNone,
	}
}

// EventSink is a node that wants to know of events.
type EventSink interface {
	// OnEvent is told of a step before it is done. It may wait, and returns an error only if ctx
	// ended meanwhile.
	OnEvent(ctx context.Context, e EventName) error
}

// Fire tells the driver of exactly this node (behind its guard, if it has one) that a request
// reached the step e.
func Fire(ctx context.Context, n Node, e EventName) error {
	if s, ok := n.(EventSink); ok {
		return s.OnEvent(ctx, e)
	}
	return nil
}
