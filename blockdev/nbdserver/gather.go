package nbdserver

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// maxFollowers is how many writes are done with another one.
const maxFollowers = 63

// follower is a write whose data lies in the input, as that of the one that it follows.
type follower struct {
	request nbdwire.Request
	data    []byte
}

// gather takes the writes that have come behind the one of w and go on where it ends, with reading
// held: a call of the system for all of them takes little longer than one for each. It leaves the
// second half of what has come, so that the client has something to do meanwhile.
func (c *client) gather(w *worker) {
	if !w.borrowed || w.request.Length == 0 {
		return
	}
	size, end := nbdwire.RequestSize(c.form), w.request.Offset+w.request.Length
	for len(w.followers) < maxFollowers {
		head := c.in.peek(size)
		if head == nil {
			return
		}
		r, err := nbdwire.ParseRequest(head, c.form)
		if err != nil || r.Command != nbdwire.CmdWrite || r.Flags != w.request.Flags ||
			r.Offset != end || r.Length == 0 || r.Length >= largeData || c.check(r) != nil {
			return
		}
		whole := c.in.peek(size + int(r.Length))
		if whole == nil {
			return
		}
		c.in.pass(len(whole))
		w.followers = append(w.followers, follower{r, whole[size:]})
		end += r.Length
	}
}

// together is the data of the request and of those that follow it.
func (w *worker) together() driver.Vec {
	w.vec = append(w.vec[:0], w.data)
	for _, f := range w.followers {
		w.vec = append(w.vec, f.data)
	}
	return w.vec
}

// doTogether makes a write with those that follow it and sends the replies. If it fails nothing is
// sent, because some of them may succeed alone.
func (w *worker) doTogether(ctx context.Context) bool {
	if w.refused != nil || w.write(ctx, w.together()) != nil {
		return false
	}
	w.succeed()
	w.client.count(w.request)
	for _, f := range w.followers {
		w.request = f.request
		w.succeed()
		w.client.count(w.request)
	}
	return true
}
