package luks

import (
	"context"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/luksheader"
)

type createConfig struct {
	luksheader.CreateOptions
	luksheader.MoreCreateOptions
	Detached      bool   `option:"detached-header" default:"off" help:"make the header alone, for a disk in another file"`
	Preallocation string `option:"preallocation" values:"off,falloc,full" default:"off" help:"what to do with the space of a fresh image"`
}

// checkCreate refuses what cannot be recorded.
func checkCreate(c *driver.Creating) error {
	options := c.Config.(*createConfig)
	cfg, err := options.header()
	if err == nil && c.Size > math.MaxInt64-cfg.PayloadOff() {
		err = driver.RefuseAs(syscall.EFBIG, "The requested file size is too large")
	}
	if err == nil {
		err = luksheader.CheckPassphrase(c, options.KeySecret, "")
	}
	return err
}

// header is what header the options ask for.
func (o *createConfig) header() (luksheader.Config, error) {
	cfg, err := o.MoreCreateOptions.Config(o.CreateOptions)
	cfg.Detached = o.Detached
	return cfg, err
}

// create makes the file as long as it will be, and writes the header. The disk in it is left as
// noise.
func create(ctx context.Context, c *driver.Creating) error {
	options := c.Config.(*createConfig)
	cfg, err := options.header()
	if err != nil {
		return err
	}
	passphrase, err := luksheader.NewPassphrase(ctx, c, options.KeySecret)
	if err != nil {
		return err
	}
	defer passphrase.Wipe()
	cfg.Passphrase = passphrase
	size := cfg.PayloadOff() + c.Size
	if cfg.Detached {
		size = cfg.HeaderLen()
	}
	mode, _ := driver.ParsePrealloc(options.Preallocation) // the key admits nothing else
	if err := c.File.Truncate(ctx, size, mode, 0); err != nil {
		return err
	}
	_, key, err := luksheader.Create(ctx, luksheader.NodeStore{Node: c.File}, cfg)
	clear(key)
	return err
}
