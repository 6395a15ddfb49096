package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/internal/format"
)

// Lookup maps guest bytes for reading.
func (q *image) Lookup(ctx context.Context, off, n int64) (format.Mapping, error) {
	m, err := q.lookup(ctx, off, n)
	if err != nil {
		return format.Mapping{}, err
	}
	run := format.Mapping{Len: m.n, Host: -1}
	switch {
	case m.clusterType.absent():
		run.Kind = format.Absent
	case m.clusterType == compressed:
		off, n := q.compressedAt(m.desc)
		run.Kind, run.Key, run.Packed = format.Packed, m.desc, format.Span{Off: off, Len: n}
	case m.clusterType.zero():
		run.Kind = format.Zero
	default:
		run.Kind = format.Data
	}
	if m.clusterType == normal || m.clusterType == zeroHost {
		run.Host = m.host
	}
	return run, nil
}

// Unpack reads a compressed cluster from the file and unpacks it.
func (q *image) Unpack(ctx context.Context, m format.Mapping, plain []byte) error {
	packed := q.Buffers.Get(m.Packed.Len)
	defer q.Buffers.Put(packed)
	if err := readAt(ctx, q.file, *packed, m.Packed.Off); err != nil {
		return err
	}
	return decompress(q.hdr.Compression, plain, *packed)
}
