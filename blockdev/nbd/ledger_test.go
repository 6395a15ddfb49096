package nbd

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// TestLostUnstored loses the server at some point of a life of writes and flushes. A flush succeeds
// if, and only if, all that was answered before it is durable.
func TestLostUnstored(t *testing.T) {
	for _, c := range []struct {
		name string
		// steps: w and W are writes without and with FUA, z and Z zeroes, f is a flush that
		// succeeds and F one that fails, ! ends the server, and x does so amid the next request.
		steps    string
		trusting bool
	}{
		{"nothing lost", "wzf", false},
		{"nothing written", "!f", false},
		{"write", "w!Ff", false},
		{"zeroes", "z!Ff", false},
		{"durable", "WZ!f", false},
		{"flushed", "wzf!f", false},
		{"amid a flush", "wxFf", false},
		{"amid a write", "xwf", false},
		{"written anew", "w!wFwf", false},
		{"lost twice", "w!F!w!Ff", false},
		{"lost and not flushed", "w!!WF!f", false},
		{"as QEMU", "w!f", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var dying atomic.Bool
			s := script{form: nbdwire.Simple}
			s.export = nbdwire.Export{
				Size: 1 << 20,
				Flags: nbdwire.HasFlags | nbdwire.SendFlush | nbdwire.SendFUA |
					nbdwire.SendWriteZeroes,
			}
			s.answer = func(r nbdwire.Request, _ []byte) []byte {
				if dying.Swap(false) {
					return nil
				}
				reply := nbdwire.Reply{Cookie: r.Cookie}.Append(nil)
				if r.Command == nbdwire.CmdRead {
					reply = append(reply, make([]byte, r.Length)...)
				}
				return reply
			}
			client, err := Dial(t.Context(), Config{
				Address: s.listen(t), ReconnectDelay: time.Minute, trusting: c.trusting,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for i, step := range c.steps {
				if err := live(t.Context(), client, step, &dying); err != nil {
					t.Fatalf("%s<here>%s: %v", c.steps[:i], c.steps[i:], err)
				}
			}
		})
	}
}

// live does a step of TestLostUnstored.
func live(ctx context.Context, client *Client, step rune, dying *atomic.Bool) error {
	data := driver.Vec{make([]byte, 512)}
	switch step {
	case 'w', 'W':
		return client.Write(ctx, data, 0, step == 'W')
	case 'z', 'Z':
		return client.Zero(ctx, 0, 512, ZeroFlags{FUA: step == 'Z'})
	case 'f':
		return client.Flush(ctx)
	case 'F':
		err := client.Flush(ctx)
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "may be gone") {
			return errors.New("the flush is answered by: " + driver.ErrnoText(driver.Errno(err)))
		}
	case 'x':
		dying.Store(true)
	case '!':
		dying.Store(true)
		return client.Read(ctx, data, 0)
	}
	return nil
}
