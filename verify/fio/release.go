package fio

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/blksh/blksh/verify"
)

// A Release is a family of fio versions that write the same blocks.
type Release uint8

// The releases that a job can write like. Reading takes the blocks of all of
// them, and of those in between.
const (
	FioAny Release = iota // for reading only: find out
	Fio22                 // 2.2 to 2.98: 40-byte headers, old type numbers, one-lane fill
	Fio333                // to 3.34: 40-byte headers, four-lane fill, the old sha512
	Fio340                // to 3.40: 40-byte headers, the new sha512, randseed moves the order too
	Fio342                // 3.41 and later: 48-byte headers
)

var releaseNames = [...]string{"any", "2.2", "3.33", "3.40", "3.42"}

// oldest is the first version of each release, and of none that is known.
var oldest = [...]struct{ major, minor int }{
	Fio22: {2, 2}, Fio333: {2, 99}, Fio340: {3, 35},
	Fio342: {3, 41},
}

// Releases are the names of all releases that blocks can be made as.
func Releases() []string { return releaseNames[1:] }

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

// ParseRelease finds the release whose blocks a version such as 3.36 has, or
// fio-3.36. any is FioAny.
func ParseRelease(s string) (Release, error) {
	if s == releaseNames[FioAny] {
		return FioAny, nil
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(s, "fio-"), ".")
	second, _, _ := strings.Cut(rest, ".")
	second, _, _ = strings.Cut(second, "-") // as in 3.33-g4bed
	major, err := strconv.ParseUint(first, 10, 16)
	minor, err2 := strconv.ParseUint(second, 10, 16)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("%q is no version of fio such as 3.36, nor any", verify.Brief(s))
	}
	for r := Fio342; r > FioAny; r-- {
		if v := oldest[r]; int(major) > v.major || int(major) == v.major && int(minor) >= v.minor {
			return r, nil
		}
	}
	return 0, fmt.Errorf("fio %s is older than 2.2, which is the first whose blocks are known",
		verify.Brief(s))
}

// long reports whether the release has headers of 48 bytes.
func (r Release) long() bool { return r >= Fio342 }

// Filler is how the release makes random content.
func (r Release) filler() *Filler {
	if r == Fio22 {
		return &Fillers[1]
	}
	return &Fillers[0]
}

// streams are the indices of the seeds that the generators of a job take.
type streams struct{ size, order, verify, mix, trim, buffer, follow, zone int }

func (r Release) streams() streams {
	if r == Fio22 {
		return streams{
			size: 0, verify: 1, mix: 2, order: 4, trim: 6, buffer: 7, follow: 8,
			zone: 12,
		}
	}
	return streams{size: 0, verify: 3, mix: 4, order: 6, trim: 8, buffer: 9, follow: 10, zone: 16}
}
