package qcow2

import (
	"context"
	"slices"
	"sync"

	"github.com/blksh/blksh/blockdev"
)

// recentBytes is about how much of the clusters unpacked last is kept.
const recentBytes = 1 << 20

// recent keeps compressed clusters that were unpacked for a part of them: whoever reads an image in small pieces wants the next part
// soon. Those who want the same cluster at the same time wait for the one that unpacks it.
type recent struct {
	mu   sync.Mutex
	list []*unpacked // the one used last at the end
}

// unpacked is a compressed cluster in memory.
type unpacked struct {
	host   span   // of the packed data
	desc   uint64 // its L2 entry
	users  int
	filled bool // guarded by filling
	plain  []byte

	filling blockdev.Mutex
}

// use calls do with the contents of a compressed cluster, which fill unpacks if need be. The caller has pinned its packed data.
func (r *recent) use(ctx context.Context, desc uint64, host span, cluster int64, fill func(plain []byte) error, do func(plain []byte)) error {
	u := r.claim(desc, host, cluster)
	defer r.put(u)
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

// claim finds or makes the entry of a cluster, in the memory of the one that was not used for longest. If all are in use it makes one more,
// which goes away with its user.
func (r *recent) claim(desc uint64, host span, cluster int64) *unpacked {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.list, func(u *unpacked) bool { return u.desc == desc })
	if at < 0 && len(r.list) >= max(2, int(recentBytes/cluster)) {
		at = slices.IndexFunc(r.list, func(u *unpacked) bool { return u.users == 0 })
		if at < 0 {
			return &unpacked{users: 1, plain: make([]byte, cluster)}
		}
		old := r.list[at]
		*old = unpacked{host: host, desc: desc, plain: old.plain}
	}
	if at < 0 {
		at = len(r.list)
		r.list = append(r.list, &unpacked{host: host, desc: desc, plain: make([]byte, cluster)})
	}
	u := r.list[at]
	r.list = append(slices.Delete(r.list, at, at+1), u)
	u.users++
	return u
}

func (r *recent) put(u *unpacked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.users--
}

// drop forgets what lay in a part of the file that gets new contents.
func (r *recent) drop(off, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(u *unpacked) bool { return u.host.overlaps(off, n) })
}
