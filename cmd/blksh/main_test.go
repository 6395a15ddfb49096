package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLines writes and checks sectors by lines on the standard input, one line an iteration.
func BenchmarkLines(b *testing.B) {
	dir := b.TempDir()
	image, script := filepath.Join(dir, "disk"), filepath.Join(dir, "lines")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o666); err != nil {
		b.Fatal(err)
	}
	var lines strings.Builder
	for i := range (b.N + 1) / 2 {
		off := i * 7919 % 2048 * 512
		fmt.Fprintf(&lines, "write -P %d %d 512\nread -P %d %d 512\n", i%256, off, i%256, off)
	}
	if err := os.WriteFile(script, []byte(lines.String()), 0o666); err != nil {
		b.Fatal(err)
	}
	in, err := os.Open(script)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	b.ReportAllocs()
	b.ResetTimer()
	if status := run([]string{"qemu-io", "-t", "writeback", "-f", "raw", image}, in, out,
		out); status != 0 {
		b.Fatal("status", status)
	}
}
