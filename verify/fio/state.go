package fio

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// stateField is a number in a state file, of size bytes.
type stateField struct {
	name string
	size int
}

// stateFields says with which fields the payload of a version begins, in order; none if there is no
// such version.
func stateFields(version uint64) []stateField {
	if version < uint64(len(stateVersions)) {
		return stateVersions[version]
	}
	return nil
}

var stateVersions = [...][]stateField{
	2: {{"completions", 8}, {"depth", 8}, {"writes", 8}, {"index", 8}},
	3: {{"completions", 8}, {"depth", 4}, {"files", 4}, {"writes", 8}, {"index", 8}},
	4: {{"completions", 8}, {"depth", 4}, {"", 4}, {"files", 4}, {"", 4}, {"writes", 8}, {"index", 8}},
	5: {{"depth", 4}, {"", 4}, {"writes", 8}, {"index", 8}},
	6: {{"depth", 4}, {"", 4}, {"writes", 8}, {"index", 8}},
	7: {{"depth", 4}, {"", 4}, {"writes", 8}, {"index", 8}},
}

// IsState says whether a file of size bytes that begins with head is a state file.
func IsState(head []byte, size int64) bool {
	if len(head) < stateHeader {
		return false
	}
	le := binary.LittleEndian
	return stateFields(le.Uint64(head)) != nil && le.Uint64(head[8:]) == uint64(size-stateHeader)
}

// ReadState reads a state file of any version from 2 to 7.
func ReadState(p []byte) (*State, error) {
	le := binary.LittleEndian
	if len(p) < stateHeader || len(p) > maxStateBytes {
		return nil, errors.New("state file: not of a possible size")
	}
	s := &State{Version: le.Uint64(p)}
	fields := stateFields(s.Version)
	if fields == nil {
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
	values := map[string]uint64{}
	for _, f := range fields {
		if len(p) < f.size {
			return nil, errors.New("state file: too short")
		}
		if f.size == 4 {
			values[f.name] = uint64(le.Uint32(p))
		} else {
			values[f.name] = le.Uint64(p)
		}
		p = p[f.size:]
	}
	if len(p) < stateRand+stateName {
		return nil, errors.New("state file: too short")
	}
	s.Depth, s.Writes, s.Index = values["depth"], values["writes"], values["index"]
	if s.Depth > maxStateDepth || s.Writes > MaxWrites {
		return nil, fmt.Errorf("state file: a depth of %d and %d writes are not possible", s.Depth,
			s.Writes)
	}
	s.Name, _, _ = strings.Cut(string(p[stateRand:stateRand+stateName]), "\x00")
	s.list(p[stateRand+stateName:], values["completions"])
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
	le := binary.LittleEndian
	var p []byte
	depth := max(s.Depth, uint64(len(s.InFlight)))
	p = le.AppendUint32(p, uint32(depth))
	p = le.AppendUint32(p, 0)
	p = le.AppendUint64(p, s.Writes)
	p = le.AppendUint64(p, s.Index)
	p = le.AppendUint64(p, 0) // a 32-bit generator
	for _, word := range s.rand {
		p = le.AppendUint64(p, word)
	}
	name := make([]byte, stateName)
	copy(name[:stateName-1], s.Name)
	p = append(p, name...)
	for i := range depth {
		n := stateNobody
		if i < uint64(len(s.InFlight)) {
			n = s.InFlight[i]
		}
		p = le.AppendUint64(p, n)
	}
	b = le.AppendUint64(b, StateWritten)
	b = le.AppendUint64(b, uint64(len(p)))
	b = le.AppendUint64(b, uint64(CRC32C(p)))
	return append(b, p...)
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
