package luksheader

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"github.com/blksh/blksh/blockdev/internal/argon2"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// The functions that make a key of a passphrase.
const (
	PBKDF2   = "pbkdf2"
	Argon2i  = "argon2i"
	Argon2id = "argon2id"
)

// KDF makes a key of a passphrase, as slowly as its parameters want.
type KDF struct {
	Type       string // one of the above
	Hash       string // of PBKDF2
	Iterations uint32 // rounds of PBKDF2, passes of Argon2
	Memory     uint32 // of Argon2, in KiB
	Lanes      uint8  // of Argon2
	Salt       []byte
}

// Bounds of what a header may ask for.
const (
	maxSalt  = 512
	minLanes = 1
	maxLanes = 64
	// maxWork bounds passes × memory of Argon2 in KiB: what an hour of one processor does, about.
	maxWork = 4 << 30
)

// check refuses parameters that cannot be, or that cost more than l allows.
func (k KDF) check(l Limits) error {
	switch k.Type {
	case PBKDF2:
		if k.Iterations == 0 {
			return refuse("The number of PBKDF2 iterations is zero")
		}
		_, err := sectorcipher.Hash(k.Hash)
		return err
	case Argon2i, Argon2id:
	default:
		return refuse("Key derivation function '%s' is not supported", k.Type)
	}
	need := int64(k.Memory) << 10
	switch {
	case k.Iterations == 0 || k.Lanes < minLanes || k.Lanes > maxLanes ||
		k.Memory < 8*uint32(k.Lanes):
		return refuse("The parameters of %s cannot be (time %d, memory %d KiB, cpus %d)",
			k.Type, k.Iterations, k.Memory, k.Lanes)
	case uint64(k.Iterations)*uint64(k.Memory) > maxWork:
		return refuse("%s would take too long (time %d, memory %d KiB)", k.Type, k.Iterations,
			k.Memory)
	case l.Memory > 0 && need > l.Memory:
		return &MemoryError{Need: need, Limit: l.Memory}
	}
	return nil
}

// MemoryError says that a slot can only be opened with more memory than was allowed.
type MemoryError struct{ Need, Limit int64 } // in bytes

func (e *MemoryError) Error() string {
	return fmt.Sprintf("Unlocking takes %d MiB of memory, and %d MiB are allowed", e.Need>>20,
		e.Limit>>20)
}

// derive makes a key of n bytes.
func (k KDF) derive(ctx context.Context, passphrase []byte, n int, l Limits) ([]byte, error) {
	if err := k.check(l); err != nil {
		return nil, err
	}
	if k.Type == PBKDF2 {
		return k.pbkdf2(ctx, passphrase, n)
	}
	how := argon2.ID
	if k.Type == Argon2i {
		how = argon2.I
	}
	cost := argon2.Cost{Passes: k.Iterations, Memory: k.Memory, Lanes: k.Lanes}
	return argon2.Key(ctx, how, passphrase, k.Salt, cost, n)
}

// lookEach is after how many rounds ctx is looked at.
const lookEach = 1 << 14

// pbkdf2 is RFC 8018, 5.2. (That of the standard library cannot be stopped.)
func (k KDF) pbkdf2(ctx context.Context, passphrase []byte, n int) ([]byte, error) {
	newHash, err := sectorcipher.Hash(k.Hash)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(newHash, passphrase)
	var key, u []byte
	for block := uint32(1); len(key) < n; block++ {
		mac.Reset()
		mac.Write(k.Salt)
		mac.Write(binary.BigEndian.AppendUint32(nil, block))
		u = mac.Sum(u[:0])
		key = append(key, u...)
		sum := key[len(key)-len(u):]
		for i := uint32(1); i < k.Iterations; i++ {
			if i%lookEach == 0 && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			mac.Reset()
			mac.Write(u)
			u = mac.Sum(u[:0])
			subtle.XORBytes(sum, sum, u)
		}
	}
	clear(u)
	clear(key[n:])
	return key[:n], nil
}

// Cost is how much work a new slot shall be.
type Cost struct {
	Type   string        // PBKDF2 or an Argon2; "" for what suits the version of the header
	Hash   string        // of PBKDF2 and of the split
	Time   time.Duration // that opening the slot takes on this machine, about
	Memory int64         // of Argon2, in bytes
}

// Least cost, whatever the time.
const (
	minRounds = 1000
	minPasses = 4
	minMemory = 32 << 10
)

// choose finds parameters of that cost for keys of n bytes, with a new salt.
func (c Cost) choose(ctx context.Context, n int) (KDF, error) {
	k := KDF{Type: c.Type, Hash: c.Hash, Salt: random(saltLen)}
	if c.Type != PBKDF2 {
		k.Iterations = minPasses
		k.Lanes = uint8(min(4, runtime.GOMAXPROCS(0)))
		k.Memory = uint32(max(c.Memory, minMemory) >> 10)
		return k, c.measure(ctx, &k, n, minPasses)
	}
	k.Iterations = minRounds
	return k, c.measure(ctx, &k, n, minRounds)
}

// measure sets k's iterations so that it takes the time, at least the least.
func (c Cost) measure(ctx context.Context, k *KDF, n int, least uint32) error {
	for {
		start := time.Now()
		key, err := k.derive(ctx, []byte("measure"), n, Limits{})
		took := time.Since(start)
		clear(key)
		switch {
		case err != nil:
			return err
		case took >= c.Time/8 || took >= 250*time.Millisecond || k.Iterations >= 1<<30:
			rounds := float64(k.Iterations) * float64(c.Time) / float64(max(took, 1))
			k.Iterations = uint32(min(max(rounds, float64(least)), 1<<31))
			return nil
		}
		k.Iterations *= 2
	}
}
