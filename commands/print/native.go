package print

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/picture"
	"github.com/blksh/blksh/commands/units"
)

// Native is the voice of the shell's own dialect: what qemu-io has no words for, more words for
// failures, and a QEMU for the rest.
//
// Results go to Out and failures to Err, in the order in which they happen even where both are one
// pipe. A failure is a line and, below it, what to do about it. Where the command stands in a
// script the line begins with its place.
type Native struct {
	QEMU
	Look Look

	dumps   dumper
	table   mapTable
	bytesOf event.Where // what bytes were written for last
}

// NewNative makes the voice of a program of that name.
func NewNative(out *Stdout, errs io.Writer, program string) *Native {
	return &Native{QEMU: QEMU{
		Out: out, Err: after{out, errs}, Name: program,
		Times: units.ReportQEMU, Visible: true,
	}}
}

// after is a stream whose bytes come after all that was written to another before.
type after struct {
	out *Stdout
	w   io.Writer
}

func (a after) Write(p []byte) (int, error) {
	a.out.Flush()
	return a.w.Write(p)
}

// Print shows e.
func (n *Native) Print(at event.Where, e event.Event) bool {
	if at.ID > 0 { // nobody knows when the next line comes
		defer n.Flush()
	}
	switch e := e.(type) {
	case event.Alloc:
		n.alloc(e)
	case event.AsJSON:
		_, _ = n.Out.Write(appendEvent(nil, event.Where{}, e.Event))
	case event.BadRange:
		n.say("%s\n", badWords(e))
	case event.BitmapListed:
		n.bitmapListed(e)
	case event.BitmapsRetired:
		n.warn("%s: %s\n", n.Name, retiredWords(e))
	case event.BlocksWritten:
		n.blocksWritten(e)
	case event.Bytes:
		n.bytes(at, e)
	case event.Capabilities:
		n.capabilities(e)
	case event.Checked:
		n.checked(e)
	case event.Client:
		n.client(e)
	case event.Closed:
		n.say("closed %s\n", nameOf(e.Image))
	case event.Committed:
		n.committed(e)
	case event.Copied:
		n.copied(e)
	case event.Damaged:
		n.damaged(e)
	case event.DeviceBusy:
		n.warn("%s: %s is read while others use it, so its data may move: %s\n", n.Name, e.Path,
			strings.Join(e.Uses, ", "))
	case event.Different:
		n.different(at, e)
	case event.DirtyRun:
		if e.Dirty {
			n.mapRow(e.Off, e.Len, colour.Found, "dirty", "")
		} else {
			n.mapRow(e.Off, e.Len, colour.Faint, "clean", "")
		}
	case event.Done: // text needs none
	case event.Drawing:
		_, _ = n.Out.Write(e.Text(picture.Screen{
			Width: n.Look.width(), UTF8: n.Look.UTF8, Palette: n.Look.Out,
		}))
	case event.Dump:
		n.dump(e)
	case event.Dumped:
		n.dumped(e)
	case event.Edited:
		n.edited(e)
	case event.Exit: // the status says it
	case event.Export:
		n.export(e)
	case event.Flushed:
		n.say("flushed %s\n", nameOf(e.Image))
	case event.Found:
		n.found(e)
	case event.HelpList:
		n.helpList(e)
	case event.Info:
		n.info(e)
	case event.InputIgnored:
		n.warn("%s: standard input was not read, and what was written is 0xcd; 'write -s -' writes what comes from there\n", n.Name)
	case event.JobNote:
		n.warn("%s: %s\n", n.Name, noteWords(e.Note))
	case event.JobNotes:
		n.warn("%s: left out, as it changes no block: %s\n", n.Name, notesWords(e.Notes))
	case event.KeySlots:
		n.keySlots(e.List)
	case event.Listed:
		n.listed(e)
	case event.Load:
		n.load(e)
	case event.LoadSpread:
		n.loadSpread(e)
	case event.MapCut: // in the words of qemu-io, which scripts look for
		n.say("%s (0x%x) bytes %s at offset %s (0x%x), and nothing is known of what is behind\n",
			units.Size(e.Len), e.Len, allocated(e.Allocated), units.Size(e.Off), e.Off)
	case event.MapHead:
		n.mapHead(e)
	case event.MapRun:
		n.mapRun(e)
	case event.MapTotals:
		n.mapTotals(e)
	case event.Measured:
		n.say("required size: %d\nfully allocated size: %d\n", e.Required, e.FullyAllocated)
		if e.HasBitmaps {
			n.say("bitmaps size: %d\n", e.Bitmaps)
		}
	case event.MergeFailed:
		n.merged(&e.Merged)
	case event.MergeIdle:
		n.warn("%s: %s\n", n.Name, idleWords(e))
	case event.Merged:
		n.merged(&e)
	case event.Mismatch:
		n.mismatch(at, e)
	case event.NotFound:
		n.finding(at)("%s\n", reason(e))
	case event.NotZero:
		n.notZero(at, e)
	case event.NothingShown:
		n.finding(at)("%s\n", reason(e))
	case event.NothingVerified:
		n.say("%s\n", reason(e))
		n.circumstances(e.Verdict)
	case event.Opened:
		n.opened(e)
	case event.OtherLength:
		n.finding(at)("%s\n", reason(e))
	case event.Performance:
		n.performance(e)
	case event.Rebased:
		n.rebased(e)
	case event.Reopened:
		n.say("reopened %s: %s\n", nameOf(e.Image), accessWords(e.ReadOnly))
	case event.Serving:
		n.serving(e)
	case event.Shard:
		n.say("%s\n", shardWords(e))
		n.Flush() // it takes long, and may be killed
	case event.Shown:
		n.shown(e)
	case event.Snapshots:
		n.snapshots(e.List)
	case event.Synopsis:
		n.synopsis(e)
	case event.Transfer:
		n.transfer(e)
	case event.Uncommitted:
		n.warn("%s is as it was; %s of it are in %s already, and 'commit' brings the rest\n",
			e.Name, units.Size(e.Done), e.Base)
	case event.Undone:
		n.undone(e)
	case event.Unfinished:
		n.warn("%s\n", unfinishedWords(e))
	case event.Verdict:
		n.say("%s\n", verdictWords(e))
		n.circumstances(e)
	case event.Verified:
		n.verified(e)
	case event.Version:
		n.say("%s\n", versionWords(n.Name, e))
	case event.WireDone:
		n.wireDone(e)
	case event.WireReply:
		n.wireReply(e)
	case event.Reason:
		n.complain(at, e)
	case event.Worded:
		n.say("%s\n", e.Words())
	default:
		return n.QEMU.Print(at, e)
	}
	return true
}

// complain shows why a command failed.
func (n *Native) complain(at event.Where, r event.Reason) {
	reason := reason(r)
	_, named := r.(event.UnknownCommand)
	named = named || strings.HasPrefix(reason, at.Command+" ") ||
		strings.HasPrefix(reason, at.Command+":")
	place := n.Name
	switch {
	case at.Pos != "" && at.Command != "" && !named:
		place = at.Pos + ": " + at.Command
	case at.Pos != "":
		place = at.Pos
	}
	said := strings.ReplaceAll(reason, "\n", "\n  ")
	n.warn("%s %s\n", n.Look.err(colour.Error, place+":"), prose(said))
	for _, line := range advice(r) {
		n.warn("  %s\n", line)
	}
}

// retiredWords says what became of dirty bitmaps.
func retiredWords(b event.BitmapsRetired) string {
	if b.Err != nil {
		return "the dirty bitmaps of the image are removed: " + words(b.Err)
	}
	names := make([]string, len(b.Names))
	for i, name := range b.Names {
		names[i] = strconv.Quote(name)
	}
	return "these dirty bitmaps of the image could not be kept up to date and stay marked as in use: " + strings.Join(names, ", ")
}

func accessWords(readOnly bool) string {
	if readOnly {
		return "read-only"
	}
	return "read-write"
}

// nameOf is what an image is called where there is a word for it only.
func nameOf(im event.Image) string { return cmp.Or(im.Path, im.Name) }

func (n *Native) opened(e event.Opened) {
	n.say("%s: %s, %s\n", nameOf(e.Image), e.Format, units.Exact(e.Size))
	access := accessWords(e.ReadOnly)
	switch {
	case e.Snapshot != "":
		access = "read-only, snapshot " + e.Snapshot
	case e.ReadOnly:
		access += ", 'reopen -w' allows writing"
	}
	backing := "no backing file"
	if len(e.Backing) > 0 {
		backing = "backing file " + layerWords(e.Backing[0])
		if more := len(e.Backing) - 1; more > 0 {
			backing += fmt.Sprintf(" and %d below it", more)
		}
	}
	n.say("%s; %s\n", access, backing)
	if e.First {
		n.say("Type 'help' for the commands, 'help read' for one of them, and 'quit' to leave.\n")
	}
}

func layerWords(l blockdev.Layer) string {
	if l.Filename == "" {
		return "(" + l.Driver + ")"
	}
	return l.Filename + " (" + l.Driver + ")"
}

func (n *Native) listed(e event.Listed) {
	mark := " "
	if e.Current {
		mark = "*"
	}
	flying := ""
	if e.InFlight > 0 {
		flying = ", " + units.Count(e.InFlight, "request") + " in flight"
	}
	n.say("%s %s: %s, %s, %s%s\n", mark, e.Name, e.Format, units.Exact(e.Size),
		accessWords(e.ReadOnly), flying)
}

// info says what a person wants to know of an image: nothing that is not so, and the whole chain.
func (n *Native) info(e event.Info) {
	n.say("format name: %s\n", e.Driver)
	if e.Path != "" {
		n.say("file: %s\n", e.Path)
	}
	n.say("size: %s\n", units.Exact(e.Size))
	if e.DiskSize >= 0 {
		n.say("disk size: %s\n", units.Exact(e.DiskSize))
	}
	n.say("access: %s\nblock size: %s\n", accessWords(e.ReadOnly), units.Size(e.Block))
	if e.Cluster > 0 {
		n.say("cluster size: %s\n", units.Size(e.Cluster))
	}
	if e.VMState > 0 {
		n.say("vm state offset: %s\n", units.Size(e.VMState))
	}
	n.group("Format specific information", e.FormatSpecific)
	n.group("storage", e.Storage)
	for _, l := range e.Backing {
		n.say("backing file: %s, %s\n", layerWords(l), units.Exact(l.Size))
		if l.DiskSize >= 0 {
			n.say("    disk size: %s\n", units.Exact(l.DiskSize))
		}
	}
	if len(e.Snapshots) > 0 {
		n.say("snapshots:\n")
		n.snapshots(e.Snapshots)
	}
	if len(e.Bitmaps) > 0 {
		n.say("bitmaps:\n")
		for _, b := range e.Bitmaps {
			n.bitmapListed(b)
		}
	}
}

// group shows a tree of details below a title, nothing if there are none.
func (n *Native) group(title string, list []blockdev.Detail) {
	if len(list) > 0 {
		n.say("%s:\n", title)
		n.details(quoteEmpty(list), 1)
	}
}

// quoteEmpty shows that there is an empty text, such as the name of a default export, in a tree.
func quoteEmpty(list []blockdev.Detail) []blockdev.Detail {
	list = slices.Clone(list)
	for i := range list {
		if list[i].Value == "" {
			list[i].Value = `""`
		}
		list[i].Sub = quoteEmpty(list[i].Sub)
	}
	return list
}

func (n *Native) checked(e event.Checked) {
	for _, m := range e.Messages {
		n.say("%s\n", m)
	}
	if e.CorruptionsFixed > 0 || e.LeaksFixed > 0 {
		n.say("repaired: %s, %s\n", units.Count(e.CorruptionsFixed, "corruption"),
			units.Count(e.LeaksFixed, "leaked cluster"))
	}
	if bad := e.Corruptions + e.Leaks + e.CheckErrors; bad == 0 {
		n.say("no errors found\n")
	} else {
		n.say("found: %s, %s, %s that could not be checked\n",
			units.Count(e.Corruptions, "corruption"),
			units.Count(e.Leaks, "leaked cluster"),
			units.Count(e.CheckErrors, "place"))
	}
	if e.TotalClusters > 0 {
		share := func(part, whole int64) float64 {
			return 100 * float64(part) / float64(max(1, whole))
		}
		n.say("%d of %s allocated (%.2f%%), %.2f%% of them fragmented, %.2f%% compressed; the image ends at %d\n",
			e.AllocatedClusters, units.Count(e.TotalClusters, "cluster"),
			share(e.AllocatedClusters, e.TotalClusters),
			share(e.FragmentedClusters, e.AllocatedClusters),
			share(e.CompressedClusters, e.AllocatedClusters), e.ImageEnd)
	}
}

func versionWords(program string, e event.Version) string {
	built := e.Go + ", " + e.OS + "/" + e.Architecture
	if e.Revision != "" {
		built += ", revision " + e.Revision
	}
	return fmt.Sprintf("%s %s (%s)", program, e.Version, built)
}

func (n *Native) capabilities(e event.Capabilities) {
	var commands, drivers []string
	for _, c := range e.Commands {
		commands = append(commands, c.Name)
	}
	for _, d := range e.Drivers {
		drivers = append(drivers, d.Name)
	}
	for _, l := range []struct {
		what  string
		words []string
	}{
		{"commands", commands},
		{"drivers", drivers},
		{"dialects", e.Dialects},
		{"patterns", e.Patterns},
	} {
		n.say("%s: %s\n", l.what, strings.Join(l.words, " "))
	}
}
