package cpu

import (
	"bytes"
	"os"
	"runtime"
	"testing"
)

// TestHas compares with what the kernel found.
func TestHas(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		if features() != 0 {
			t.Error("there is assembly for amd64 only")
		}
		return
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, info, _ = bytes.Cut(info, []byte("\nflags"))
	info, _, _ = bytes.Cut(info, []byte("\n"))
	words := bytes.Fields(info)
	for word, f := range map[string]Features{"aes": AES, "avx": AVX, "avx2": AVX2, "bmi2": BMI2} {
		want := false
		for _, w := range words {
			want = want || string(w) == word
		}
		if Has(f) != want {
			t.Errorf("%s: %v, and the kernel says %v", word, Has(f), want)
		}
	}
}
