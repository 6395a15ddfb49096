package driver

import "testing"

func TestEventNames(t *testing.T) {
	if got := len(EventNames()); got != int(EvNone) {
		t.Errorf("%d names for %d events", got, EvNone)
	}
	for event, name := range map[Event]string{
		EvL1Update: "l1_update", EvL2AllocWrite: "l2_alloc_write", EvReftableLoad: "reftable_load",
		EvRefblockAllocSwitch: "refblock_alloc_switch_table", EvClusterFree: "cluster_free",
		EvPwritev: "pwritev", EvL1ShrinkFreeL2: "l1_shrink_free_l2_clusters", EvNone: "none",
	} {
		if got := event.String(); got != name || EventNamed(name) != event {
			t.Errorf("event %d is %s, and %s is %d", event, got, name, EventNamed(name))
		}
	}
	if e := EventNamed("no_such_event"); e != 0 {
		t.Errorf("a name that no event has is %v", e)
	}
}
