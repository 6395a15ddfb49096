package drivers

import (
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

func TestAll(t *testing.T) {
	schemes := map[string]string{}
	for i, d := range All() {
		if i > 0 && All()[i-1].Name >= d.Name {
			t.Errorf("%s stands behind %s", d.Name, All()[i-1].Name)
		}
		if d.Doc == "" || d.Open == nil {
			t.Errorf("%s lacks a line for people, or Open", d.Name)
		}
		for _, s := range d.Schemes {
			if other := schemes[s]; other != "" {
				t.Errorf("%s and %s both want names that start with %s:", d.Name, other, s)
			}
			schemes[s] = d.Name
		}
		keys := map[string]bool{}
		for _, k := range append(d.Keys(), driver.KeysOf(driver.NodeConfig{})...) {
			if keys[k.Name] || k.Help == "" {
				t.Errorf("%s: key %s is declared twice, or lacks help", d.Name, k.Name)
			}
			keys[k.Name] = true
		}
	}
}
