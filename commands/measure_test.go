package commands_test

import (
	"strings"
	"testing"
)

// TestMeasure gives the figures of qemu-img.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	if said, status := in(t, dir, nil, "create src.raw 300M", "open src.raw", "write -q 1M 100k",
		"write -q 200M 3M", "close",
		"create -f qcow2 -b src.raw -F raw over.qcow2 400M", "open over.qcow2", "write -q 3M 1000",
		"write -q -z 200M 1M",
		"write -q -c 300M 128k", "discard -q 201M 1M", "close",
		"create -o extended_l2=on sub.qcow2 64M", "open sub.qcow2", "write -q 5k 3k",
		"bitmap add one", "bitmap add -g 512 two",
	); status != 0 {
		t.Fatal(said)
	}
	for _, options := range []string{
		"", "compat=0.10", "cluster_size=512", "cluster_size=2M", "extended_l2=on",
		"refcount_bits=1", "refcount_bits=64,cluster_size=512",
		"preallocation=metadata", "preallocation=falloc", "preallocation=full",
	} {
		theirs, ours := []string{"measure", "-O", "qcow2"}, "measure -f qcow2"
		if options != "" {
			theirs, ours = append(theirs, "-o", options), ours+" -o "+options
		}
		for _, what := range []string{
			"--size 0", "--size 1", "--size 1G", "--size 123456789",
			"src.raw", "over.qcow2", "sub.qcow2",
		} {
			want := qemuImg(t, append(append([]string{}, theirs...), strings.Fields(what)...)...)
			if got, status := in(t, dir, nil, ours+" "+what); got != want || status != 0 {
				t.Errorf("%s %s: %q, want %q", ours, what, got, want)
			}
		}
	}
	for _, what := range []string{"--size 1000", "src.raw", "over.qcow2"} {
		want := qemuImg(t, append([]string{"measure", "-O", "raw"}, strings.Fields(what)...)...)
		if got, _ := in(t, dir, nil, "measure "+what); got != want {
			t.Errorf("raw, %s: %q, want %q", what, got, want)
		}
	}
	want := qemuImg(t, "measure", "-O", "qcow2", "-o", "backing_file=src.raw,backing_fmt=raw",
		"over.qcow2")
	if got, _ := in(t, dir, nil, "measure -b -f qcow2 over.qcow2"); got != want {
		t.Errorf("with a backing file: %q, want %q", got, want)
	}
}

// TestResize: nothing is lost unasked, and what is added is zero.
func TestResize(t *testing.T) {
	for _, format := range []string{"raw", "qcow2"} {
		dir := t.TempDir()
		said, status := in(t, dir, nil, "create -f "+format+" disk 1M", "open -f "+format+" disk",
			"write -q -P 1 0 1M",
			"resize 512k", "read -q -P 1 0 1M", "resize --shrink 512k", "resize 1M",
			"read -q -P 1 0 512k", "read -q -P 0 512k 512k",
			"resize -m falloc +1M", "length", "close", "open -r -f "+format+" disk", "resize 4M")
		if status != 2 || strings.Count(said, "--shrink") != 1 ||
			!strings.Contains(said, "2 MiB\n") || strings.Contains(said, "Pattern") {
			t.Errorf("%s: %d, %s", format, status, said)
		}
		if format == "qcow2" {
			qemuImg(t, "check", "disk")
		}
	}
}
