package commands

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
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
}

// sums are those of the command sum, the usual one first.
var sums = []checksum{
	{"sha256", sha256.New},
	{"sha512", sha512.New},
	{"sha384", sha512.New384},
	{"sha1", sha1.New},
	{"md5", md5.New},
	{"crc32", func() hash.Hash { return crc32.NewIEEE() }},
	{"crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
}

func sumNames() []string {
	names := make([]string, len(sums))
	for i, s := range sums {
		names[i] = s.name
	}
	return names
}

var sumCommand = session.Command{
	Name: "sum", Max: -1, Needs: session.File,
	Group: session.GroupLook,
	Args:  "[-a algorithm] [--shard k/n] [off [len]]",
	Elsewhere: []session.Elsewhere{
		{Name: "checksum", Call: "sum"},
		{Name: "hash", Call: "sum"},
		{Name: "md5sum", Call: "sum -a md5"},
		{Name: "sha256sum", Call: "sum -a sha256"},
	},
	Short: "computes the checksum of a range",
	Long: ` Example:
 sum                   the SHA-256 of all the image, as sha256sum has it
 sum -a crc32c 0..1M   the CRC-32C of its first MiB
`,
	New: func(f *session.Flags) session.Run {
		var c sharded
		kind := sums[0]
		f.Enum('a', "algorithm", "NAME", sumNames, "which checksum", func(i int) error {
			kind = sums[i]
			return nil
		})
		c.operands(f)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if !c.take(s, im, "sum", shardBlock) {
				return nil
			}
			h := kind.make()
			err := c.scan(ctx, s, im, "sum", false, func(l looking, p stream.Piece) error {
				h.Write(p.Data)
				if p.Data != nil {
					return nil
				}
				return inParts(l.ctx, p.Off, p.Len, int64(len(zeroes)), func(_, n int64) error {
					h.Write(zeroes[:n])
					return nil
				})
			})
			if err != nil {
				return err
			}
			s.Emit(event.Sum{Range: event.Range(c.scope), Algorithm: kind.name, Sum: h.Sum(nil)})
			return nil
		}
	},
}
