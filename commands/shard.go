package commands

import (
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// shardBlock is what shards of commands are cut by that have no blocks of their own, in bytes: long
// enough that requests of the usual sizes and clusters of images stay whole.
const shardBlock = 1 << 20

// sharded is a scope of which a run may do a part.
type sharded struct {
	scope
	session.Shard
}

// operands declares [off [len]] and --shard; see session.Flags.Shard for own.
func (c *sharded) operands(f *session.Flags, own ...string) {
	f.Shard(&c.Shard, own...)
	c.scope.operands(f)
}

// take makes the scope the part that is to be done, and says which that is. It is false if nothing
// is left for this part.
func (c *sharded) take(s *session.Session, im *session.Image, op string) bool {
	e := event.Shard{Op: op, Block: shardBlock, Size: im.Dev.Size()}
	return c.Shard.N == 0 || takeShard(s, &c.Shard, &c.scope, e)
}

// takeShard emits e, filled in with the part of c that a shard has, and makes c that part. It is
// false if the part is empty.
func takeShard(s *session.Session, shard *session.Shard, c *scope, e event.Shard) bool {
	e.K, e.N, e.Source, e.Asked = shard.K, shard.N, shard.Source, shard.Asked
	e.Whole = c.Range
	from, to := shard.Part(c.Len, e.Block)
	c.Off, c.Len = c.Off+from, to-from
	e.Range = c.Range
	s.Emit(e)
	return c.Len > 0
}
