package rawsocket

import (
	"testing"
	"time"
)

// TestYield gives way, gives up for a while where that took longer than it may, and does nothing
// meanwhile.
func TestYield(t *testing.T) {
	var y Yield
	if y.To(time.Hour); !y.rest.IsZero() {
		t.Error("a yield that may take long was too long")
	}
	before := time.Now()
	if y.To(-1); !y.rest.After(before) {
		t.Error("a yield that may take no time was not too long")
	}
	later := time.Now().Add(time.Hour)
	y.rest = later
	if y.To(-1); y.rest != later {
		t.Error("it gave way though it had given up")
	}
}
