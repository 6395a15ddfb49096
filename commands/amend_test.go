package commands_test

import (
	"strings"
	"testing"
)

// TestAmend: after each change the guest sees the same, QEMU finds no fault, and the image is what
// was asked for.
func TestAmend(t *testing.T) {
	for _, made := range []string{"compat=1.1", "cluster_size=512", "lazy_refcounts=on"} {
		t.Run(made, func(t *testing.T) {
			dir := t.TempDir()
			said, status := in(t, dir, nil, "create base.raw 6M", "open -f raw base.raw",
				"write -q -P 9 0 6M", "close",
				"create -f qcow2 -o "+made+" -b base.raw -F raw a.qcow2 6M", "open a.qcow2",
				"write -q -P random:1 0 1M", "write -q -z 2M 1M",
				"write -q -z 100k 64k", "write -q -c -P 3 4M 64k", "discard -q 5M 64k", "close",
				"create alone.qcow2 4M", "open alone.qcow2",
				"write -q -P 1 0 1M", "write -q -z 512k 1M")
			if status != 0 {
				t.Fatal(said)
			}
			qemuImg(t, "convert", "-O", "raw", "a.qcow2", "a.raw")
			qemuImg(t, "convert", "-O", "raw", "alone.qcow2", "alone.raw")
			for _, c := range []struct{ options, info string }{
				{"refcount_bits=64", "refcount bits: 64"},
				{"refcount_bits=8", "refcount bits: 8\n"},
				{"refcount_bits=16,lazy_refcounts=on", "lazy refcounts: true"},
				{"lazy_refcounts=off", "lazy refcounts: false"},
				{"compat=0.10", "compat: 0.10"},
				{"compat=1.1,refcount_bits=8", "refcount bits: 8"},
				{"lazy_refcounts=on", "lazy refcounts: true"},
				{"refcount_bits=16,compat=v2", "compat: 0.10"},
				{"compat=v3", "compat: 1.1"},
			} {
				for _, name := range []string{"a", "alone"} {
					said, status := in(t, dir, nil, "open "+name+".qcow2", "amend -o "+c.options,
						"write -q -P 5 3M 64k", "write -q -P 9 3M 64k",
						"discard -q 3M 64k")
					if status != 0 || !strings.HasPrefix(said, "amended: ") {
						t.Fatalf("%s, %s: %d, %s", name, c.options, status, said)
					}
					qemuImg(t, "check", name+".qcow2")
					if info := qemuImg(t, "info", name+".qcow2"); !strings.Contains(info, c.info) {
						t.Errorf("%s, %s: %s", name, c.options, info)
					}
					said, status = in(t, dir, nil, "open "+name+".qcow2", "compare -f raw "+name+
						".raw 0..3M", "compare -f raw "+name+".raw 3136k..4M")
					if status != 0 {
						t.Fatalf("%s, %s: %s", name, c.options, said)
					}
				}
			}
		})
	}
}

// TestAmendRefused: what cannot be is refused in words, and changes nothing.
func TestAmendRefused(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create a.qcow2 1M", "open a.qcow2", "write -q 0 64k",
		"create -o compat=0.10 old.qcow2 1M", "create c.raw 1M",
		"create -o extended_l2=on x.qcow2 1M", "create b.qcow2 1M", "open -a b b.qcow2",
		"bitmap add b")
	qemuImg(t, "snapshot", "-c", "s", "a.qcow2")
	for _, c := range []struct {
		image, options string
		status         int
		says           string
	}{
		{"a.qcow2", "compat=9", 2, "Unknown compatibility level 9"},
		{"a.qcow2", "refcount_bits=3", 2, "power of two"},
		{"a.qcow2", "cluster_size=4k", 2, "only supported for image creation"},
		{"a.qcow2", "nothing=1", 2, "Invalid parameter 'nothing'"},
		{"a.qcow2", "backing_file=x", 2, "rebase"},
		{"a.qcow2", "data_file=x", 2, "external data file"},
		{"a.qcow2", "refcount_bits=1", 2, "has a refcount of 2"},
		{"a.qcow2", "compat=0.10", 2, "snapshots"},
		{"old.qcow2", "lazy_refcounts=on", 2, "compatibility level 1.1"},
		{"old.qcow2", "refcount_bits=8", 2, "compatibility level 1.1"},
		{"x.qcow2", "compat=0.10", 2, "incompatible features"},
		{"b.qcow2", "compat=0.10", 2, "bitmaps"},
		{"c.raw", "compat=0.10", 2, "does not support option amendment"},
		{"a.qcow2", "compat=0.10,refcount_bits=8", 2, "16 bits"},
	} {
		before := contents(t, c.image)
		said, status := in(t, dir, nil, "open "+c.image, "amend -o "+c.options)
		if status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s, %s: %d, want %d: %s", c.image, c.options, status, c.status, said)
		}
		if c.says != "has a refcount of 2" && contents(t, c.image) != before {
			t.Errorf("%s, %s: the image was changed", c.image, c.options)
		}
		if strings.HasSuffix(c.image, "qcow2") {
			qemuImg(t, "check", c.image)
		}
	}
}
