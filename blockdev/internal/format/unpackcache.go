package format

import (
	"context"
	"slices"
	"sync"

	"github.com/blksh/blksh/blockdev/wait"
)

// unpackCacheBytes is about how much of the clusters unpacked last is kept.
const unpackCacheBytes = 1 << 20

// UnpackCache keeps compressed clusters that were unpacked for a part of them: a program that reads
// an image in small pieces wants the next part soon. Requests for one cluster at the same time
// wait for the one that unpacks it. The zero value is empty.
type UnpackCache struct {
	mu   sync.Mutex
	list []*unpacked // the one used last at the end
}

// unpacked is a compressed cluster in memory.
type unpacked struct {
	packed Span   // where the packed data is in the file
	key    uint64 // what the format calls the cluster
	users  int
	filled bool // guarded by filling
	plain  []byte

	filling wait.Mutex
}

// Use calls do with the contents of the cluster that the format calls key, which fill unpacks if
// need be. The caller has pinned its packed data.
func (c *UnpackCache) Use(
	ctx context.Context, key uint64, packed Span, cluster int64, fill func(plain []byte) error,
	do func(plain []byte),
) error {
	u := c.claim(key, packed, cluster)
	defer c.put(u)
	if err := u.filling.Lock(ctx); err != nil {
		return err
	}
	defer u.filling.Unlock()
	if !u.filled {
		if err := fill(u.plain); err != nil {
			return err
		}
		u.filled = true
	}
	do(u.plain)
	return nil
}

// claim finds or makes the entry of a cluster, in the memory of the one that was not used for
// longest. If all are in use it makes one more, which goes away with its user.
func (c *UnpackCache) claim(key uint64, packed Span, cluster int64) *unpacked {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.list, func(u *unpacked) bool { return u.key == key })
	if at < 0 && len(c.list) >= max(2, int(unpackCacheBytes/cluster)) {
		at = slices.IndexFunc(c.list, func(u *unpacked) bool { return u.users == 0 })
		if at < 0 {
			return &unpacked{users: 1, plain: make([]byte, cluster)}
		}
		old := c.list[at]
		*old = unpacked{packed: packed, key: key, plain: old.plain}
	}
	if at < 0 {
		at = len(c.list)
		c.list = append(c.list, &unpacked{packed: packed, key: key, plain: make([]byte, cluster)})
	}
	u := c.list[at]
	c.list = append(slices.Delete(c.list, at, at+1), u)
	u.users++
	return u
}

func (c *UnpackCache) put(u *unpacked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u.users--
}

// Drop forgets what lay in a part of the file that gets new contents.
func (c *UnpackCache) Drop(off, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(u *unpacked) bool { return u.packed.Overlaps(off, n) })
}
