package luksheader

import (
	"context"
	"errors"
	"math"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// NodeStore is a header in a node, from the byte Off on. Len is its length, 0 for all there is.
type NodeStore struct {
	Node     driver.Node
	Off, Len int64
}

var _ Store = NodeStore{}

// ReadAt reads.
func (s NodeStore) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := s.check(p, off); err != nil {
		return err
	}
	return s.Node.ReadVec(ctx, driver.Vec{p}, s.Off+off, 0)
}

// WriteAt writes, whatever becomes of ctx: what was begun is not left halfway.
func (s NodeStore) WriteAt(ctx context.Context, p []byte, off int64) error {
	if err := s.check(p, off); err != nil {
		return err
	}
	return s.Node.WriteVec(context.WithoutCancel(ctx), driver.Vec{p}, s.Off+off, 0)
}

// check refuses what lies outside of the room for the header.
func (s NodeStore) check(p []byte, off int64) error {
	if s.Len > 0 && off > s.Len-int64(len(p)) {
		return driver.Refuse("Request for data outside of extension header")
	}
	return nil
}

// Flush flushes, whatever becomes of ctx.
func (s NodeStore) Flush(ctx context.Context) error {
	return s.Node.Flush(context.WithoutCancel(ctx))
}

// Passphrase is the secret that opens an image by its options, nil where none is given but a person
// can be asked, or without a need for one (Mode.NoIO). prefix is that of the options.
func (u UnlockOptions) Passphrase(o *driver.Opening, prefix string) (driver.Secret, error) {
	switch {
	case o.Mode.NoIO:
		return nil, nil
	case u.KeySecret != "":
		s, err := o.Secret(u.KeySecret)
		if err == nil && o.LikeQEMU() && !utf8.Valid(s) {
			err = driver.Refuse("Data from secret %s is not valid UTF-8", u.KeySecret)
		}
		return s, err
	case !o.CanAsk():
		return nil, needSecret(prefix)
	}
	return nil, nil
}

func needSecret(prefix string) error {
	return &driver.NoKeyError{Option: prefix + "key-secret"}
}

// NewPassphrase is the secret that is to open a new image, by the id of a secret or asked from a
// person.
func NewPassphrase(ctx context.Context, c *driver.Creating, id string) (driver.Secret, error) {
	if id != "" {
		return c.Secret(id)
	}
	return c.Ask(ctx, driver.Question{Image: c.Filename, New: true})
}

// CheckPassphrase says why NewPassphrase would fail. Nobody is asked yet.
func CheckPassphrase(c *driver.Creating, id, prefix string) error {
	switch {
	case id != "":
		s, err := c.Secret(id)
		s.Wipe()
		return err
	case !c.CanAsk():
		return needSecret(prefix)
	}
	return nil
}

// tries is how often a person may mistype a passphrase.
const tries = 3

// Volume is an encrypted disk whose key is known, or that is locked.
type Volume struct {
	Cipher *sectorcipher.Cipher // nil if it is locked

	mu     sync.Mutex // guards what follows
	header Header
	key    []byte // nil if it is locked
	limits Limits
}

// ErrLocked says that the key of an image was not looked for, see Mode.NoIO.
var ErrLocked error = &driver.Refusal{
	Text: "The image is encrypted and was opened without its key", Err: syscall.EACCES,
}

// Unlock opens the disk that a header describes. Without a passphrase a person is asked for it.
// With Mode.NoIO the disk stays locked.
func (u UnlockOptions) Unlock(
	ctx context.Context, o *driver.Opening, h Header, passphrase driver.Secret,
) (*Volume, error) {
	seconds := min(u.UnlockTime, int64(math.MaxInt64/time.Second))
	if seconds <= 0 {
		return nil, invalid("unlock-time must be at least 1 second")
	}
	l := Limits{Memory: u.UnlockMemory.Int(), Time: time.Duration(seconds) * time.Second}
	if o.Mode.NoIO {
		return &Volume{header: h, limits: l}, nil
	}
	if passphrase != nil {
		return unlock(ctx, h, passphrase, l)
	}
	for try := 1; ; try++ {
		asked, err := o.Ask(ctx, driver.Question{Image: o.Filename, Again: try > 1})
		if err != nil {
			return nil, err
		}
		v, err := unlock(ctx, h, asked, l)
		asked.Wipe()
		if !errors.Is(err, ErrPassphrase) || try == tries {
			return v, err
		}
	}
}

func unlock(ctx context.Context, h Header, passphrase []byte, l Limits) (*Volume, error) {
	key, _, err := l.unlock(ctx, h, passphrase, -1)
	if err != nil {
		return nil, err
	}
	p := h.Payload()
	c, err := sectorcipher.New(p.Spec, key, p.Unit)
	if err != nil {
		clear(key)
		return nil, err
	}
	return &Volume{Cipher: c, header: h, key: key, limits: l}, nil
}

// Wipe forgets the key. The volume is of no more use.
func (v *Volume) Wipe() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Cipher.Wipe()
	clear(v.key)
}
