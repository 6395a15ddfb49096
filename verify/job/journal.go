package job

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/blksh/blksh/verify/fio"
)

// A journal is a file that a writing job appends to: which writes were issued,
// which were acknowledged, and when a flush began and ended. After a crash it
// says what must be there. It lives where the crash does not reach it.
//
// It begins with a line that names it and its version, and a line that tells in JSON what the
// blocks of the job depend on (journalworkload.go). Records of 16 bytes follow, little endian: the
// number of the first write (8), their count in the lower 30 bits and the type in the upper two
// (4), and the CRC-32C of these twelve bytes, continued from the record before (4). A record whose
// crc is wrong ends the journal, for it was being written when the writer died.
//
// Where a run does a part of a job ([fio.Workload.Only]), the writes that others make are noted as
// issued and acknowledged when they are passed by, so that the numbers have no gaps.
type journal struct {
	w   io.Writer
	buf []byte
	crc uint32

	// part says that others make some of the writes, and next is the first that is not noted yet.
	part bool
	next uint64
}

const (
	journalName    = "blksh-journal "
	journalVersion = 2 // that is written
	journalRecord  = 16
	// maxJournalLine bounds the lines of text.
	maxJournalLine = 1 << 20
	// mostNoted is how many writes one record tells of at most.
	mostNoted = 1 << 29
	// maxJournalRanges bounds the memory of what a journal tells. Writes end nearly
	// in order: what is in flight makes gaps, and a run that failed.
	maxJournalRanges = 1 << 16
)

// IsJournal says whether a file that begins with head is a journal, of whatever version.
func IsJournal(head []byte) bool {
	return strings.HasPrefix(string(head), journalName)
}

// The types of records. A flush that ended covers what was acknowledged before it began.
const (
	journalIssue = iota
	journalAck
	journalFlushBegins
	journalFlushed
)

// newJournal begins a journal, or goes on with one that was read; nil if w is.
func newJournal(w io.Writer, job *fio.Workload, before *Journal) (*journal, error) {
	if w == nil {
		return nil, nil
	}
	j := &journal{w: w, part: job.Only != fio.Slice{}}
	if before != nil {
		j.crc = before.crc
		for _, r := range before.issued {
			j.next = max(j.next, r[1])
		}
		return j, before.continues(job)
	}
	line, err := writeWorkload(job)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.buf = fmt.Appendf(j.buf, "%s%d\n%s", journalName, journalVersion, line)
	return j, j.flush()
}

func (j *journal) add(record uint32, number uint64, count int) {
	if j == nil {
		return
	}
	start := len(j.buf)
	j.buf = binary.LittleEndian.AppendUint64(j.buf, number)
	j.buf = binary.LittleEndian.AppendUint32(j.buf, uint32(count)|record<<30)
	j.crc = recordCRC(j.crc, j.buf[start:])
	j.buf = binary.LittleEndian.AppendUint32(j.buf, j.crc)
}

// recordCRC continues the crc of the record before.
func recordCRC(before uint32, record []byte) uint32 {
	var p [journalRecord]byte
	n := copy(p[:], record)
	binary.LittleEndian.PutUint32(p[n:], before)
	return fio.CRC32C(p[:n+4])
}

// issue notes writes that are about to begin, in order.
func (j *journal) issue(list []fio.Request) {
	if j != nil && j.part {
		for i := range list {
			j.passBy(list[i].Number)
		}
	}
	j.writes(journalIssue, list)
}

// passBy notes that the writes before one are made by others, as far as nothing is noted of them.
func (j *journal) passBy(number uint64) {
	for j.next < number {
		n := min(number-j.next, mostNoted)
		j.add(journalIssue, j.next, int(n))
		j.add(journalAck, j.next, int(n))
		j.next += n
	}
	j.next = max(j.next, number+1)
}

// writes adds a record for each run of numbers.
func (j *journal) writes(record uint32, list []fio.Request) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Number == list[0].Number+uint64(n) {
			n++
		}
		j.add(record, list[0].Number, n)
		list = list[n:]
	}
}

// flush hands what was added to the writer, in one piece.
func (j *journal) flush() error {
	if j == nil || len(j.buf) == 0 {
		return nil
	}
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// A Journal is what a journal says.
type Journal struct {
	// Workload is that of the job that wrote, unchecked; see [Journal.Options].
	Workload fio.Workload
	// Version is that of the journal.
	Version int
	// Issued, Acknowledged and Flushed count writes.
	Issued, Acknowledged, Flushed uint64
	// Size is how many bytes of it are whole. The rest was being written when the
	// writer died, and has to go before more is appended.
	Size int64

	crc                    uint32 // of the last record
	issued, acked, flushed rangeSet
}

// ReadJournal reads the journal of a job, as far as it goes, of this version or an older one.
func ReadJournal(ctx context.Context, r io.Reader) (*Journal, error) {
	b := bufio.NewReaderSize(r, maxJournalLine)
	name, err := readLine(b)
	if errors.Is(err, errLine) {
		return nil, errNoJournal
	} else if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{Size: int64(len(name))}
	if j.Version, err = versionOf(name); err != nil {
		return nil, err
	}
	line, err := readLine(b)
	if err != nil {
		return nil, fmt.Errorf("journal: options: %w", err)
	}
	if j.Workload, err = readWorkload(line, j.Version); err != nil {
		return nil, fmt.Errorf("journal: options: %w", err)
	}
	j.Size += int64(len(line))
	if err := j.records(ctx, b); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.Issued, j.Acknowledged, j.Flushed = j.issued.count(), j.acked.count(), j.flushed.count()
	return j, nil
}

// versionOf is the version that the first line of a journal names.
func versionOf(line []byte) (int, error) {
	word, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), journalName)
	version, err := strconv.ParseUint(word, 10, 31)
	switch {
	case !ok || err != nil || version == 0:
		return 0, errNoJournal
	case version > journalVersion:
		return 0, fmt.Errorf(
			"a journal of version %d: a newer version wrote it, and has to read it; this one knows those up to %d", version, journalVersion)
	}
	return int(version), nil
}

// What is wrong with a file that is no journal, or a line of one.
var (
	errNoJournal = errors.New("not a journal of a verification job")
	errLine      = errors.New("the line of text")
)

// readLine reads up to and with a newline, at most as much as the reader has room for. It is valid
// until the next call.
func readLine(b *bufio.Reader) ([]byte, error) {
	line, err := b.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("%w is cut off", errLine)
	case errors.Is(err, bufio.ErrBufferFull):
		err = fmt.Errorf("%w is longer than %d bytes", errLine, maxJournalLine)
	}
	return line, err
}

// recordsBetweenLooks is how many records are read between two looks at the context.
const recordsBetweenLooks = 1 << 14

// records reads records until the end or the first that is not whole.
func (j *Journal) records(ctx context.Context, b *bufio.Reader) error {
	var p [journalRecord]byte
	var before rangeSet // acknowledged when the running flush began
	for n := 0; ; n++ {
		if n%recordsBetweenLooks == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := io.ReadFull(b, p[:]); errors.Is(err, io.EOF) ||
			errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
		crc := recordCRC(j.crc, p[:12])
		if binary.LittleEndian.Uint32(p[12:]) != crc {
			return nil
		}
		if err := j.record(&p, &before); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		j.crc, j.Size = crc, j.Size+journalRecord
	}
}

// record takes what a whole record tells.
func (j *Journal) record(p *[journalRecord]byte, before *rangeSet) error {
	first := binary.LittleEndian.Uint64(p[:])
	word := binary.LittleEndian.Uint32(p[8:])
	end := first + uint64(word&(1<<30-1))
	if first > fio.MaxWrites || end > fio.MaxWrites {
		return fmt.Errorf("no job has a write with number %d", first)
	}
	switch word >> 30 {
	case journalIssue:
		j.issued.add(first, end)
	case journalAck:
		j.acked.add(first, end)
	case journalFlushBegins:
		*before = append((*before)[:0], j.acked...)
	case journalFlushed:
		j.flushed = append(j.flushed[:0], *before...)
	}
	if len(j.issued) > maxJournalRanges || len(j.acked) > maxJournalRanges {
		return errors.New("the writes are in no order in which a job makes them")
	}
	return nil
}

// missing is the number of the first write that is not known to have been flushed.
func (j *Journal) missing() uint64 {
	if len(j.flushed) == 0 || j.flushed[0][0] > 0 {
		return 0
	}
	return j.flushed[0][1]
}

// History says which writes must have arrived: those that were flushed after they were acknowledged
// or, if only the writing process died and not the machine, all that were acknowledged.
func (j *Journal) History(processOnly bool) *History {
	arrived := j.flushed
	if processOnly {
		arrived = j.acked
	}
	h := &History{own: true}
	for _, r := range j.issued {
		h.Issued = max(h.Issued, r[1])
	}
	at := uint64(0)
	for _, r := range arrived {
		h.unsure.add(at, min(r[0], h.Issued))
		at = r[1]
	}
	h.unsure.add(at, h.Issued)
	return h
}
