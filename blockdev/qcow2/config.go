package qcow2

import "github.com/blksh/blksh/blockdev/driver"

// config has the options of an open image.
type config struct {
	File                driver.Child  `option:"file" help:"where the image is stored"`
	DataFile            driver.Child  `option:"data-file" help:"where guest data is, instead of what the image names"`
	Backing             driver.Child  `option:"backing" help:"backing file, instead of the one that the image names"`
	LazyRefcounts       *bool         `option:"lazy-refcounts" help:"write refcounts late; a crash makes a repair at the next open"`
	PassDiscardRequest  *bool         `option:"pass-discard-request" help:"punch out what a discard frees (default: as discard=)"`
	PassDiscardSnapshot bool          `option:"pass-discard-snapshot" default:"on" help:"punch out what deleting a snapshot frees"`
	PassDiscardOther    bool          `option:"pass-discard-other" default:"off" help:"punch out what else is freed"`
	DiscardNoUnref      bool          `option:"discard-no-unref" default:"off" help:"keep clusters that are discarded"`
	OverlapCheck        *string       `option:"overlap-check" help:"metadata to guard against wrong writes: none, constant, cached (default) or all"`
	OverlapTemplate     *string       `option:"overlap-check.template" help:"the same as overlap-check"`
	CacheSize           *driver.Bytes `option:"cache-size" help:"most memory for metadata"`
	L2CacheSize         *driver.Bytes `option:"l2-cache-size" help:"most memory for L2 tables"`
	L2CacheEntrySize    *driver.Bytes `option:"l2-cache-entry-size" help:"bytes of an L2 table that are read at once"`
	RefcountCacheSize   *driver.Bytes `option:"refcount-cache-size" help:"most memory for refcount blocks"`
	CacheCleanInterval  *int64        `option:"cache-clean-interval" help:"seconds after which unused metadata is dropped; 0 keeps it"`
	Overlap             overlapConfig `option:"overlap-check"`
	Encrypt             encryptConfig `option:"encrypt"`
}

// overlapConfig has the options that guard one kind of metadata each.
type overlapConfig struct {
	MainHeader      *bool `option:"main-header" help:"guard the header"`
	ActiveL1        *bool `option:"active-l1" help:"guard the active L1 table"`
	ActiveL2        *bool `option:"active-l2" help:"guard active L2 tables"`
	RefcountTable   *bool `option:"refcount-table" help:"guard the refcount table"`
	RefcountBlock   *bool `option:"refcount-block" help:"guard refcount blocks"`
	SnapshotTable   *bool `option:"snapshot-table" help:"guard the snapshot table"`
	InactiveL1      *bool `option:"inactive-l1" help:"guard L1 tables of snapshots"`
	InactiveL2      *bool `option:"inactive-l2" help:"guard L2 tables of snapshots (reads them)"`
	BitmapDirectory *bool `option:"bitmap-directory" help:"guard the bitmap directory"`
}

// all are the options in the order of the bits of overlap.
func (o *overlapConfig) all() []**bool {
	return []**bool{
		&o.MainHeader, &o.ActiveL1, &o.ActiveL2, &o.RefcountTable, &o.RefcountBlock,
		&o.SnapshotTable, &o.InactiveL1, &o.InactiveL2, &o.BitmapDirectory,
	}
}

// createConfig has the options of a new image.
type createConfig struct {
	Compat          string        `option:"compat" default:"1.1" help:"version of the format: 0.10 or v2, 1.1 or v3"`
	ClusterSize     driver.Bytes  `option:"cluster_size" default:"65536" help:"bytes in a cluster, from 512 to 2M"`
	ExtendedL2      bool          `option:"extended_l2" default:"off" help:"divide clusters into 32 subclusters"`
	Preallocation   string        `option:"preallocation" default:"off" values:"off,metadata,falloc,full" help:"space to take at once"`
	LazyRefcounts   bool          `option:"lazy_refcounts" default:"off" help:"write refcounts late"`
	RefcountBits    int64         `option:"refcount_bits" default:"16" help:"bits of a refcount, from 1 to 64"`
	CompressionType string        `option:"compression_type" default:"zlib" values:"zlib,zstd" help:"how compressed clusters are packed"`
	DataFile        string        `option:"data_file" help:"a file for guest data, which is made with the image"`
	DataFileRaw     bool          `option:"data_file_raw" default:"off" help:"whether that file is to be a raw image too"`
	Encryption      *bool         `option:"encryption" help:"the same as encrypt.format=aes"`
	Encrypt         encryptCreate `option:"encrypt"`
}

// or is the value of an option, or otherwise where it was not given.
func or[T any](option *T, otherwise T) T {
	if option == nil {
		return otherwise
	}
	return *option
}

// given are the options of an image: those that count, which are nil where later ones have
// overruled them, and all that were said.
type given struct {
	config
	said config
}

// with is v after a reopen that left next. What is new overrules what was said before about the
// same thing: a template all overlap checks, a total size both parts, a part the total.
func (v *given) with(next *config) given {
	now := given{config: *next, said: *next}
	template := changed(v.said.OverlapCheck, next.OverlapCheck) ||
		changed(v.said.OverlapTemplate, next.OverlapTemplate)
	overrule(&now.OverlapCheck, v.OverlapCheck, v.said.OverlapCheck, template)
	overrule(&now.OverlapTemplate, v.OverlapTemplate, v.said.OverlapTemplate, template)
	for i, guard := range now.Overlap.all() {
		overrule(guard, *v.Overlap.all()[i], *v.said.Overlap.all()[i], template)
	}
	total := changed(v.said.CacheSize, next.CacheSize)
	part := !total && (changed(v.said.L2CacheSize, next.L2CacheSize) ||
		changed(v.said.RefcountCacheSize, next.RefcountCacheSize))
	overrule(&now.CacheSize, v.CacheSize, v.said.CacheSize, part)
	overrule(&now.L2CacheSize, v.L2CacheSize, v.said.L2CacheSize, total)
	overrule(&now.RefcountCacheSize, v.RefcountCacheSize, v.said.RefcountCacheSize, total)
	return now
}

// overrule drops an option that is as it was said before, if it did not count then or another one
// takes its place now.
func overrule[T comparable](option **T, counted, said *T, taken bool) {
	overruled := counted == nil && said != nil
	if (overruled || taken) && !changed(said, *option) {
		*option = nil
	}
}

// changed says whether an option was given anew or differently.
func changed[T comparable](said, next *T) bool {
	return next != nil && (said == nil || *said != *next)
}
