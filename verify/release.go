package verify

import "fmt"

// A Release is a family of fio versions that write the same blocks.
type Release uint8

// The releases that a job can write like. Reading takes the blocks of all of
// them, and of those in between.
const (
	FioAny Release = iota // for reading only: find out
	Fio22                 // 2.2 to 2.8: 40-byte headers, old type numbers, one-lane fill
	Fio333                // 3.32 to 3.34: 40-byte headers, four-lane fill, the old sha512
	Fio342                // 3.41 and later: 48-byte headers
)

var releaseNames = [...]string{"any", "2.2", "3.33", "3.42"}

func (r Release) String() string {
	if int(r) >= len(releaseNames) {
		return fmt.Sprintf("release-%d", uint8(r))
	}
	return releaseNames[r]
}

// MarshalText makes the name the value in JSON.
func (r Release) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Release) UnmarshalText(p []byte) (err error) {
	*r, err = ParseRelease(string(p))
	return err
}

// ParseRelease reads 2.2, 3.33 or 3.42.
func ParseRelease(s string) (Release, error) {
	for i, name := range releaseNames {
		if name == s {
			return Release(i), nil
		}
	}
	return 0, fmt.Errorf("unknown release of fio %q (known: 2.2, 3.33, 3.42, any)", s)
}

// long reports whether the release has headers of 48 bytes.
func (r Release) long() bool { return r >= Fio342 }

// filler is how the release makes random content.
func (r Release) filler() *filler {
	if r == Fio22 {
		return &fillers[1]
	}
	return &fillers[0]
}

// streams are the indices of the seeds that the generators of a job take.
type streams struct{ size, order, verify, mix, trim, buffer int }

func (r Release) streams() streams {
	if r == Fio22 {
		return streams{size: 0, verify: 1, mix: 2, order: 4, trim: 6, buffer: 7}
	}
	return streams{size: 0, verify: 3, mix: 4, order: 6, trim: 8, buffer: 9}
}
