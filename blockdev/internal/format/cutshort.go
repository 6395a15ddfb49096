package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// ending is what is known of the end of a data file, which may be before data that tables tell of.
// The lock guards it.
type ending struct {
	dataEnd int64 // the file was at least so long, bytes
	grown   bool  // a change has made it longer, and it was looked whether anything was lost before
	// lost is where clusters begin that were lost, in the file, and whole are those of them that
	// were written since. A file that has grown over them does not show it.
	lost  Span
	whole map[int64]bool
}

// TellCut says that the image was cut short where a file of it ends.
func (i *Image) TellCut(end int64) {
	if i.Notify != nil {
		i.Notify(driver.ImageCutShort{End: end})
	}
}

// noteRead tells of data that is about to be read and that the file is too short for.
func (i *Image) noteRead(m Mapping, off int64) {
	if m.Kind != Data || m.Host+m.Len <= i.dataEnd && i.lost.Len == 0 || i.Notify == nil {
		return
	}
	if i.lost.Len > 0 {
		i.tellLost(off, m.Host, m.Len)
		return
	}
	// A file may end amid its last cluster, of which nothing more was written.
	i.dataEnd = i.Data.Info().Size
	if last := m.Host + i.startOf(off+m.Len-1) - off; last >= i.dataEnd {
		i.TellCut(i.dataEnd)
	}
}

// present is how much of a run of data that begins at off is there, or was never there: 0 if its
// first cluster was lost. What was lost is no hole of the file.
func (i *Image) present(m Mapping, off int64) int64 {
	end := i.lost.Off
	if i.lost.Len == 0 {
		if m.Host+m.Len > i.dataEnd {
			i.dataEnd = i.Data.Info().Size
		}
		end = i.dataEnd
	}
	first := m.Host - i.within(off)
	return min(m.Len, max(0, first+i.roundUp(max(0, end-first))-m.Host))
}

// noteWrite tells of a write of guest bytes to the file, in part to clusters of allocations, that
// leaves a part of a lost cluster zero, or that is the first to hide that some were lost.
func (i *Image) noteWrite(ctx context.Context, off int64, run WriteRun) {
	if i.lost.Len == 0 && (i.grown || run.Host+run.Len <= i.dataEnd) || i.Notify == nil {
		return
	}
	if !i.grown {
		if i.dataEnd = i.Data.Info().Size; run.Host+run.Len <= i.dataEnd {
			return
		}
		i.grown = true
		i.findLost(ctx, off, run)
	}
	if i.lost.Len == 0 {
		return
	}
	first, end := run.Host-i.within(off), run.Host+run.Len
	for at := max(first, first+i.startOf(i.lost.Off-first)); at < end; at += i.Cluster {
		if run.takes(at) || at >= run.Host && at+i.Cluster <= end {
			i.rewritten(at)
		}
	}
	i.tellLost(off, run.Host, run.Len)
}

// takes says whether the cluster of the file at at is of an allocation of the run.
func (w WriteRun) takes(at int64) bool {
	for _, a := range w.Allocations {
		if at >= a.Host && at < a.Host+a.Len {
			return true
		}
	}
	return false
}

// findLost finds what was lost, before the first change that makes the file longer. Tables need to
// be searched only if it leaves something out, or makes a part of what is behind the end.
func (i *Image) findLost(ctx context.Context, off int64, run WriteRun) {
	first := run.Host - i.within(off)
	if i.Reach == nil || run.takes(first) && first-i.dataEnd < i.Cluster {
		return
	}
	end, err := i.Reach(ctx)
	if err != nil || end-i.Cluster < i.dataEnd { // a wrong table is told where it matters
		return
	}
	i.lost, i.whole = Span{i.dataEnd, end - i.dataEnd}, map[int64]bool{}
	i.TellCut(i.dataEnd)
}

// rewritten notes that a cluster is written as a whole.
func (i *Image) rewritten(at int64) {
	if at >= i.lost.Off && at < i.lost.End() {
		i.whole[at] = true
	}
}

// tellLost tells of a run of the file with clusters that were lost.
func (i *Image) tellLost(off, host, n int64) {
	for at := host - i.within(off); at < min(host+n, i.lost.End()); at += i.Cluster {
		if at >= i.lost.Off && !i.whole[at] {
			i.TellCut(i.lost.Off)
			return
		}
	}
}
