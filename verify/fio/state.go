package fio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A State is fio's verify state file: how far a writing job got. All numbers
// in it are little endian. A header of version, payload size and CRC-32C of the
// payload (without final inversion), 8 bytes each, is followed by
//
//	2 (2.2.9 to 2.8)   completions, depth, writes, index: 8 each
//	3 (2.9 to 3.38)    completions 8, depth 4, files 4, writes 8, index 8
//	4 (3.39 to 3.40)   completions 8, depth 4, completions a file 4, files 4,
//	                   padding 4, writes 8, index 8
//	5 (3.41 to 3.42)   depth 4, padding 4, writes 8, index 8
//	6, 7 (later)       as 5
//
// and by the state of the generator of offsets (56), the job's name (64), and a list: offsets (8)
// of the last completions in version 2, pairs of file and offset (16) in 3 and 4, numbers of writes
// in flight (8, all ones for none) since 5.
type State struct {
	Version uint64 `json:"version"`
	Name    string `json:"name"`
	// Index is that of the job, from 0.
	Index uint64 `json:"index"`
	// Depth is how many writes could be in flight.
	Depth uint64 `json:"depth"`
	// Writes is the number of the first write that was not made; in version 7
	// with verify_policy=fsynced the first that was not flushed.
	Writes uint64 `json:"writes"`
	// InFlight are the writes that had not ended, since version 5.
	InFlight []uint64 `json:"in_flight,omitempty"`
	// Completed are the offsets of the last writes that had ended, before.
	Completed []int64 `json:"completed,omitempty"`

	rand [6]uint64
}

const (
	stateHeader   = 24
	stateRand     = 56
	stateName     = 64
	StateWritten  = 7 // the version that is written
	stateNobody   = ^uint64(0)
	maxStateDepth = 1 << 20
	maxStateBytes = 16*maxStateDepth + 1<<10 // its list has no more entries
)

// stateWrites is where the number of writes stands in the payload of a version, and the index
// behind it.
var stateWrites = [...]int{2: 16, 3: 16, 4: 24, 5: 8, 6: 8, 7: 8}

// stateWritesAt is the place for any version; 0 if there is no such version.
func stateWritesAt(version uint64) int {
	if version < uint64(len(stateWrites)) {
		return stateWrites[version]
	}
	return 0
}

// IsState says whether a file of size bytes that begins with head is a state file.
func IsState(head []byte, size int64) bool {
	if len(head) < stateHeader {
		return false
	}
	le := binary.LittleEndian
	return stateWritesAt(le.Uint64(head)) > 0 && le.Uint64(head[8:]) == uint64(size-stateHeader)
}

// ReadState reads a state file of any version from 2 to 7.
func ReadState(p []byte) (*State, error) {
	le := binary.LittleEndian
	if len(p) < stateHeader || len(p) > maxStateBytes {
		return nil, errors.New("state file: not of a possible size")
	}
	s := &State{Version: le.Uint64(p)}
	at := stateWritesAt(s.Version)
	if at == 0 {
		return nil, fmt.Errorf("state file: version %d is not supported", s.Version)
	}
	size, crc := le.Uint64(p[8:]), le.Uint64(p[16:])
	p = p[stateHeader:]
	if size > uint64(len(p)) {
		return nil, fmt.Errorf("state file: cut off: %d of %d bytes", len(p), size)
	}
	p = p[:size]
	if crc != uint64(CRC32C(p)) {
		return nil, errors.New("state file: the checksum is wrong")
	}
	list := at + 16 + stateRand + stateName
	if len(p) < list {
		return nil, errors.New("state file: too short")
	}
	s.Writes, s.Index = le.Uint64(p[at:]), le.Uint64(p[at+8:])
	switch {
	case s.Version == 2:
		s.Depth = le.Uint64(p[8:])
	case s.Version < 5:
		s.Depth = uint64(le.Uint32(p[8:]))
	default:
		s.Depth = uint64(le.Uint32(p))
	}
	if s.Depth > maxStateDepth || s.Writes > MaxWrites {
		return nil, fmt.Errorf("state file: a depth of %d and %d writes are not possible", s.Depth,
			s.Writes)
	}
	s.Name, _, _ = strings.Cut(string(p[list-stateName:list]), "\x00")
	s.list(p[list:], le.Uint64(p))
	return s, nil
}

// list reads the list at the end.
func (s *State) list(p []byte, completions uint64) {
	le := binary.LittleEndian
	switch {
	case s.Version >= 5:
		for ; len(p) >= 8; p = p[8:] {
			if n := le.Uint64(p); n != stateNobody {
				s.InFlight = append(s.InFlight, n)
			}
		}
	case s.Version == 2:
		for ; len(p) >= 8 && completions > 0; p, completions = p[8:], completions-1 {
			s.Completed = append(s.Completed, int64(le.Uint64(p)))
		}
	default:
		for ; len(p) >= 16; p = p[16:] {
			s.Completed = append(s.Completed, int64(le.Uint64(p[8:])))
		}
	}
}

// Append appends the state file, of the newest version, to b.
func (s *State) Append(b []byte) []byte {
	running := len(s.InFlight)
	depth := max(int(s.Depth), running)
	p := appendWords(nil, uint64(depth), s.Writes, s.Index, 0) // 0 is a 32-bit generator
	p = appendWords(p, s.rand[:]...)
	name := make([]byte, stateName)
	copy(name[:stateName-1], s.Name)
	p = appendWords(append(p, name...), s.InFlight...)
	p = appendWords(p, slices.Repeat([]uint64{stateNobody}, depth-running)...)
	b = appendWords(b, StateWritten, uint64(len(p)), uint64(CRC32C(p)))
	return append(b, p...)
}

func appendWords(b []byte, words ...uint64) []byte {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// SetGenerator sets how far the generator of offsets is; of those of 64 bits fio tells nothing.
func (s *State) SetGenerator(g Generator) {
	if t, ok := g.(*taus88); ok {
		s.rand = [6]uint64{uint64(t.s[0]) | uint64(t.s[1])<<32, uint64(t.s[2])}
	}
}

// StateName is the name of the state file of a job.
func StateName(o *Options) string {
	name := "local-" + strings.ReplaceAll(o.Name, "/", ".") + "-" +
		strconv.Itoa(max(o.Thread, 1)-1) + "-verify.state"
	if o.AuxPath != "" {
		return strings.TrimSuffix(o.AuxPath, "/") + "/" + name
	}
	return name
}
