package drivers

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/null"
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

// FuzzOptions opens what any JSON says, of what is in memory: the host's files, devices and
// programs are out of reach. What opens has a length and is closed without complaint.
func FuzzOptions(f *testing.F) {
	for _, name := range []string{
		`json:{"driver":"null-co","size":"1M","latency-ns":1,"read-zeroes":true}`,
		`json:{"driver":"raw","offset":512,"size":1024,"file":{"driver":"mem","size":4096}}`,
		`json:{"driver":"blkdebug","image":{"driver":"mem","size":"1M"},"align":4096,"opt-discard":8192,` +
			`"inject-error":[{"event":"l2_load","errno":5,"sector":-1}],"set-state":[{"event":"none","new_state":2}]}`,
		`json:{"driver":"copy-on-read","file":{"driver":"null-aio","size":1e3},"bottom":"x","node-name":"a"}`,
		`json:{"driver":"qcow2","file.driver":"mem","file.size":65536,"cache-size":-1,"backing":null}`,
		`json:{"driver":"compress","file":{"driver":"vdi","file":{"driver":"mem","size":9223372036854775807}}}`,
		`json:{"driver":"luks","key-secret":"k","file":"a","detect-zeroes":"unmap"}`,
	} {
		f.Add(name)
	}
	memory := []string{mem.Driver.Name, null.Aio.Name, null.Co.Name}
	inside := slices.DeleteFunc(All(), func(d driver.Driver) bool {
		return d.Kind == driver.Protocol && !slices.Contains(memory, d.Name)
	})
	f.Fuzz(func(t *testing.T, name string) {
		o, err := blockdev.ParseJSONName(name)
		if err != nil {
			return
		}
		// Options may ask for a latency without end.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d, err := blockdev.Open(ctx, "", blockdev.OpenConfig{Drivers: inside, Options: o})
		if err != nil {
			return
		}
		if d.Size() < 0 {
			t.Errorf("%q has %d bytes", name, d.Size())
		}
		if err := d.Close(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	})
}
