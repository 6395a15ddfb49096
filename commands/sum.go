package commands

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
	"hash/crc32"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

// checksum is one way to sum up bytes.
type checksum struct {
	name string
	make func() hash.Hash
	tree bool // what it makes tells contents apart that somebody chose
}

// sums are those of the command sum, the usual one first.
var sums = []checksum{
	{"sha256", sha256.New, true},
	{"sha512", sha512.New, true},
	{"sha384", sha512.New384, true},
	{"sha3-256", func() hash.Hash { return sha3.New256() }, false},
	{"sha1", sha1.New, false},
	{"md5", md5.New, false},
	{"crc32", func() hash.Hash { return crc32.NewIEEE() }, false},
	{"crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, false},
	{blockSum, sha256.New, false},
}

// blockSum is the name of the sum that the program blksum makes.
const blockSum = "blksum"

func sumNames() []string {
	names := make([]string, len(sums))
	for i, s := range sums {
		names[i] = s.name
	}
	return names
}

var sumCommand = session.Command{
	Name: "sum", Needs: session.File,
	Group: session.GroupLook,
	Args:  "[-a algorithm] [--tree] [--shard k/n] [off [len]]",
	Elsewhere: []string{
		"blksum: sum -a blksum", "checksum", "hash", "md5sum: sum -a md5",
		"sha256sum: sum -a sha256",
	},
	Short: "computes the checksum of a range",
	Long: ` Example:
 sum                   the SHA-256 of all the image, as sha256sum has it
 sum -a crc32c 0..1M   the CRC-32C of its first MiB
 sum --tree            a sum that does not read holes, on all processors
 sum -a blksum         the sum that blksum has

 A tree of hashes can be summed up in parts, by --shard, which merge joins: the
 sum is the same for any number of parts. Holes and zeroes that were written are
 the same to it, and so are images of any format; a sparse terabyte takes no
 time. It is the tree of RFC 6962 over leaves of 64 KiB. blksum hashes blocks of
 64 KiB as well, on all processors, but their hashes in a row.
`,
	New: func(f *session.Flags) session.Run {
		var c sharded
		kind := sums[0]
		var tree bool
		f.Enum('a', "algorithm", "NAME", sumNames(), "which checksum",
			func(i int) { kind = sums[i] })
		f.Bool(&tree, 0, "tree", "hash in a tree, with sha256, sha384 or sha512")
		c.operands(f)
		f.Conflict("tree-algorithm", "--tree is for sha256, sha384 and sha512",
			func() bool { return tree && !kind.tree })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			whole := c.scope
			if !c.take(s, im, "sum") {
				return nil
			}
			var e event.Event
			var err error
			switch {
			case tree:
				e, err = c.sumTree(ctx, s, im, kind, whole.Off)
			case kind.name == blockSum:
				e, err = c.sumBlocks(ctx, s, im, kind)
			default:
				e, err = c.sum(ctx, s, im, kind)
			}
			if err == nil {
				s.Emit(e)
			}
			return err
		}
	},
}

// sum is the checksum of the range, byte after byte.
func (c *sharded) sum(
	ctx context.Context, s *session.Session, im *session.Image, kind checksum,
) (event.Event, error) {
	h := kind.make()
	err := c.scan(ctx, s, im, "sum", func(l looking, p stream.Piece) error {
		h.Write(p.Data)
		if p.Data != nil {
			return nil
		}
		return inParts(l.ctx, p.Off, p.Len, int64(len(zeroes)), func(_, n int64) error {
			h.Write(zeroes[:n])
			return nil
		})
	})
	return event.Sum{Range: c.Range, Algorithm: kind.name, Sum: h.Sum(nil)}, err
}
