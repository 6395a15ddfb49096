// Package cpu knows which instructions the processor has, for the assembly of other packages. It
// asks when it is first asked itself: a virtual machine takes tens of microseconds for each answer,
// and most programs that link assembly do not run it.
package cpu

// Features are sets of instructions.
type Features uint

// The sets that assembly here is written for.
const (
	AES  Features = 1 << iota // AES-NI
	AVX                       // with a system that keeps its registers
	AVX2                      // the same
	BMI2
)

// Has says whether the processor has all of the sets.
func Has(f Features) bool { return features()&f == f }
