package print

import (
	"errors"
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
)

// noticeWords says what a layer of the block stack reports, and whether that stands behind the name
// of the program, as errors do. The sentences are QEMU's.
func noticeWords(n driver.Notice) (text string, prefixed bool) {
	switch n := n.(type) {
	case driver.AIOFallback:
		return fmt.Sprintf(aioFallback, n.File), false
	case driver.BitmapsStale:
		return bitmapsStaleWords(n), true
	case driver.CacheUnwritten:
		return fmt.Sprintf("Failed to flush the %s cache: %s", n.Cache, errnoWords(n.Err)), true
	case driver.CheckNote:
		return n.Text, false
	case driver.ClusterUnfreed:
		return "qcow2_free_clusters failed: " + errnoWords(n.Err), false
	case driver.EmptyBacking:
		return `warning: Use of "backing": "" is deprecated; use "backing": null instead`, true
	case driver.ImageCorrupt:
		return corruptWords(n, n.What.Error()), false
	case driver.LegacyEncryption:
		return legacyEncryption, true
	case driver.ProbedRaw:
		return probedRawWords(n), n.Restricted
	case driver.RefcountUnread:
		return fmt.Sprintf("Can't get refcount for cluster %d: %s", n.Cluster,
			errnoWords(n.Err)), false
	case driver.TailKept:
		return "warning: Failed to truncate the tail of the image: " + refusalWords(n.Err), true
	case driver.ZoneMisaligned:
		return zoneMisalignedWords(n), true
	}
	return "", false
}

const (
	aioFallback = "WARNING: aio=native was specified for '%s', but it requires cache.direct=on, " +
		"which was not specified. Falling back to aio=threads.\n" +
		"         This will become an error condition in future QEMU versions."

	bitmapsStaleV2 = "This qcow2 v2 image contains bitmaps, but they may have been modified by a program without " +
		"persistent bitmap support; so now they must all be considered inconsistent"
	bitmapsStale = "a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent"
	leaksAdvice  = "Some clusters may be leaked, run 'qemu-img check -r' on the image file to fix."

	legacyEncryption = "warning: the image is encrypted in the old way (aes), which does not tell a wrong passphrase from a right one"

	probedRaw = "WARNING: Image format was not specified for '%s' and probing guessed raw.\n" +
		"         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n" +
		"         Specify the 'raw' format explicitly to remove the restrictions."
	restrictedRaw = "format of '%s' taken for raw; without -f raw its first sector takes no header of another format"
)

func bitmapsStaleWords(n driver.BitmapsStale) string {
	why := bitmapsStale
	if n.Version < 3 {
		why = bitmapsStaleV2
	}
	return "warning: " + why + "\n" + leaksAdvice
}

func corruptWords(n driver.ImageCorrupt, what string) string {
	if n.Marked {
		return fmt.Sprintf(
			"%s: Marking image as corrupt: %s; further corruption events will be suppressed",
			n.Format, what)
	}
	return fmt.Sprintf(
		"%s: Image is corrupt: %s; further non-fatal corruption events will be suppressed",
		n.Format, what)
}

func probedRawWords(n driver.ProbedRaw) string {
	if n.Restricted {
		return fmt.Sprintf(restrictedRaw, n.File)
	}
	return fmt.Sprintf(probedRaw, n.File)
}

func zoneMisalignedWords(n driver.ZoneMisaligned) string {
	what := "sector offset"
	if n.Length {
		what = "number of sectors"
	}
	return fmt.Sprintf("%s %d is not aligned to zone size %d", what, sectors(n.Value),
		sectors(n.Zone))
}

// refusalWords are a refusal's own, or the C library's for an error number.
func refusalWords(err error) string {
	var said *driver.Refusal
	if errors.As(err, &said) {
		return said.Text
	}
	return errnoWords(err)
}
