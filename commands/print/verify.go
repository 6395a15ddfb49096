package print

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

// blocksWritten says what a job wrote, and how fast.
func (n *Native) blocksWritten(e event.BlocksWritten) {
	n.say("wrote %s: %s, as fio %s, seed %d\n", blocksWords(e.Blocks, e.Bytes),
		units.Count(e.Writes, "request"), e.Fio, e.Seed)
	n.say("  %s\n", rateWords(e.Bytes, e.Bytes, e.Elapsed))
	if e.Trimmed > 0 {
		n.say("  %s of them trimmed again\n", units.Exact(e.Trimmed))
	}
}

// damaged ends the list of bad ranges.
func (n *Native) damaged(e event.Damaged) {
	n.unlisted(e)
	n.say("%s\n", reason(e))
	n.damage(e)
	n.circumstances(e.Verdict)
}

// blocksWords says of which blocks of a range something was done to done bytes.
func blocksWords(b event.Blocks, done int64) string {
	said := fmt.Sprintf("%s at offset %d", units.Exact(b.Len), b.Off)
	switch {
	case done < b.Len:
		said = units.Exact(done) + " of " + said
	case done > b.Len:
		said = units.Exact(done) + " over " + said
	}
	if b.Type != "" {
		said += " in blocks of " + b.Type
	}
	if b.Job != "" {
		said += ", job " + b.Job
	}
	if b.File != "" {
		said += ", in " + b.File
	}
	if b.Merge > 0 {
		said += ", merged up to " + units.Size(b.Merge)
	}
	return said
}

// rateWords says how long done bytes took, and how fast those of them went for which data went to
// or from the image. Nothing is said of a time that nobody measured.
func rateWords(done, moved int64, elapsed time.Duration) string {
	if elapsed <= 0 {
		return units.Size(done)
	}
	said := units.Size(done) + " in " + units.Time(elapsed)
	if moved <= 0 {
		return said
	}
	return said + ", " + units.Rate(float64(moved)/elapsed.Seconds())
}

// noteWords says which option changes nothing, with its place if it stands in a file.
func noteWords(note fio.Note) string {
	why := note.Why
	if why != "" {
		why = ": " + why
	}
	if note.Line == 0 {
		return note.Option + " is left out" + why
	}
	return fmt.Sprintf("line %d, job %s: %s is left out%s", note.Line, note.Job, note.Option, why)
}

// notesWords lists options by the reason why they change nothing.
func notesWords(notes []fio.Note) string {
	var reasons []string
	options := map[string][]string{}
	for _, note := range notes {
		if options[note.Why] == nil {
			reasons = append(reasons, note.Why)
		}
		if !slices.Contains(options[note.Why], note.Option) {
			options[note.Why] = append(options[note.Why], note.Option)
		}
	}
	for i, why := range reasons {
		reasons[i] = strings.Join(options[why], ", ") + " (" + why + ")"
	}
	return strings.Join(reasons, ", ")
}

func verdictWords(e event.Verdict) string {
	if e.Result.Blocks == 0 && e.Others > 0 {
		return "left to the jobs that wrote it last: " + blocksWords(e.Blocks, e.Len)
	}
	as := "verified"
	if !e.Done {
		as = "so far"
	}
	return fmt.Sprintf("%s: %s: %s intact", as, blocksWords(e.Blocks, judged(e)),
		units.Count(e.Result.Blocks, "block is", "blocks are"))
}

// judged is how many bytes the verdict is about.
func judged(e event.Verdict) int64 { return e.Checked + e.HeadersOnly }

func damagedWords(e event.Damaged) string {
	var classes []string
	for _, c := range slices.Sorted(maps.Keys(e.Classes)) {
		classes = append(classes, fmt.Sprintf("%d %s", e.Classes[c], c))
	}
	return fmt.Sprintf("damaged: %d of %s: %s", e.Bad,
		units.Count(e.Result.Blocks, "block"),
		strings.Join(classes, ", "))
}

// unlisted ends the list of bad ranges with what was left out of it.
func (n *Native) unlisted(e event.Damaged) {
	if more := int64(len(e.Ranges) - e.Listed); more > 0 {
		n.say("and %s more; --all shows them\n", units.Count(more, "range"))
	}
	if e.More > 0 {
		n.say("and %s more in ranges too many to remember\n",
			units.Count(e.More, "bad block"))
	}
}

// damage says how much there is of it.
func (n *Native) damage(e event.Damaged) {
	said := "compared"
	if !e.Done {
		said = "compared so far"
	}
	n.say("  %s: %s; %s %s bad\n", said, blocksWords(e.Blocks, judged(e.Verdict)),
		units.Exact(e.BadBytes), units.Are(e.BadBytes))
}

// dumped says what files there are of bad blocks.
func (n *Native) dumped(e event.Dumped) {
	n.say("  dumped %s into %s: %s.OFFSET.received, with .expected and .diff where these are known",
		units.Count(e.Blocks, "bad block"), e.Dir, e.Prefix)
	if e.Left > 0 {
		n.say("; not %s", units.Count(e.Left, "other"))
	}
	n.say("\n")
}

// circumstances says what else a person should know of a verification.
func (n *Native) circumstances(e event.Verdict) {
	if e.HeadersOnly > 0 {
		n.say("  %s not compared: only their headers were checked, for their type has no checksum of all data\n", units.Exact(e.HeadersOnly))
		n.say("  and what they should hold is not known; if it is a pattern, -P tells it\n")
	}
	if e.Doubt != "" {
		n.say("  %s\n", e.Doubt)
	}
	if e.Unreadable > 0 {
		n.say("  %s could not be read\n", units.Exact(e.Unreadable))
	}
	if e.Others > 0 && e.Result.Blocks > 0 {
		n.say("  %s were written by other jobs, which say what became of them\n",
			units.Exact(e.Others))
	}
	if e.Unchecked > 0 {
		n.say("  of %s nothing is known\n", units.Exact(e.Unchecked))
	}
	if e.ContentMismatches > 0 {
		n.say("  %s intact, but not what its seed makes\n",
			units.Count(e.ContentMismatches, "block is", "blocks are each"))
	}
	if f := e.InFlight; f != (job.InFlight{}) {
		n.say("  under way when the job ended, and any of it allowed: %d old, %d new, %d torn\n",
			f.Old, f.New, f.Torn)
	}
	for _, generation := range slices.Sorted(maps.Keys(e.Generations)) {
		n.say("  generation %d: %s\n", generation,
			units.Count(e.Generations[generation], "block"))
	}
}

// badWords describes a range of bad blocks.
func badWords(e event.BadRange) string {
	said := fmt.Sprintf("%s: %s %s", placeWords(e.Off), units.Exact(e.Len), e.Cause.Class)
	if how := causeWords(e); how != "" {
		said += ": " + how
	}
	return said
}

// causeWords says what a class alone does not.
func causeWords(e event.BadRange) string {
	b := e.First
	var said []string
	switch c := e.Cause; c.Class {
	case verify.OneBit:
		said = append(said, fmt.Sprintf("bit %d of the byte at %s", c.Bit, placeWords(c.At)))
	case verify.Misdirected:
		said = append(said, "what belongs at "+placeWords(e.Off+c.Delta))
	case verify.Zeroed:
	case verify.Filled, verify.Shifted, verify.Leftover:
		said = append(said, strings.TrimPrefix(c.String(), c.Class.String()+" "))
	case verify.Stale:
		said = append(said, staleWords(b))
	case verify.OtherType:
		said = append(said, "an intact block of "+b.Type)
	case verify.CutOff:
		if b.Header != nil {
			said = append(said,
				fmt.Sprintf("a block of %s ends behind it", units.Exact(int64(b.Header.Len))))
		}
	}
	if b.BigEndian {
		said = append(said,
			"a header in the byte order of a big-endian machine, which cannot be verified here")
	}
	if strings.Contains(b.Type, " or ") {
		said = append(said, "its header names "+b.Type)
	}
	if parts := partWords(b); parts != "" && e.Cause.Class != verify.OneBit {
		said = append(said, parts)
	}
	return strings.Join(said, "; ")
}

// staleWords says what an old block is, as far as its header tells.
func staleWords(b *job.Bad) string {
	h := b.Header
	if h == nil {
		return "not of the last write that the job made there"
	}
	generation, has := h.Generation()
	switch {
	case has:
		return fmt.Sprintf("generation %d", generation)
	case int64(h.Len) != b.Len:
		return fmt.Sprintf("write %d of another job, with blocks of %s", h.Number,
			units.Size(h.Len))
	case b.Number != h.Number && b.Seed != 0:
		return fmt.Sprintf("write %d, and not write %d of this job", h.Number, b.Number)
	}
	return fmt.Sprintf("write %d of another job", h.Number)
}

// fewParts is how many parts of a block are listed.
const fewParts = 4

// partWords says which parts of the first block are wrong, unless all of it is.
func partWords(b *job.Bad) string {
	var parts []string
	for _, p := range b.Parts {
		if p.Len == b.Len {
			return ""
		}
		if len(parts) == fewParts {
			parts = append(parts, "...")
			break
		}
		parts = append(parts,
			fmt.Sprintf("%s at %s", units.Bytes(p.Len), placeWords(p.Off)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "wrong: " + strings.Join(parts, ", ")
}
