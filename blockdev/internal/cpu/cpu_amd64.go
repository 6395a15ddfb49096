package cpu

import "sync"

// features is what there is.
func features() Features {
	once.Do(func() { found = find() })
	return found
}

var (
	once  sync.Once
	found Features
)

// cpuid is the instruction of that name.
func cpuid(leaf, subleaf uint32) (a, b, c, d uint32)

// xgetbv is the instruction of that name for the first control register: the registers that the
// system keeps.
func xgetbv() (low, high uint32)

func find() (f Features) {
	const (
		aes, osxsave, avx = 1 << 25, 1 << 27, 1 << 28 // leaf 1, C
		avx2, bmi2        = 1 << 5, 1 << 8            // leaf 7, B
		keepsAVX          = 6
	)
	highest, _, _, _ := cpuid(0, 0)
	if highest < 7 {
		return 0
	}
	_, _, c1, _ := cpuid(1, 0)
	_, b7, _, _ := cpuid(7, 0)
	kept := false
	if c1&osxsave != 0 {
		low, _ := xgetbv()
		kept = low&keepsAVX == keepsAVX
	}
	for _, known := range [...]struct {
		feature Features
		there   bool
	}{
		{AES, c1&aes != 0},
		{AVX, c1&avx != 0 && kept},
		{AVX2, b7&avx2 != 0 && kept},
		{BMI2, b7&bmi2 != 0},
	} {
		if known.there {
			f |= known.feature
		}
	}
	return f
}
