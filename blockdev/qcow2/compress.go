package qcow2

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/klauspost/compress/flate"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
	"github.com/blksh/blksh/blockdev/internal/zstd"
	"github.com/blksh/blksh/blockdev/wait"
)

// deflateWindow is the window that QEMU unpacks with, in bytes; longer distances would be refused
// by strict readers.
const deflateWindow = 4096

// What packs and unpacks clusters, for as many goroutines as come, is kept for the next ones.
var (
	inflaters   = sync.Pool{New: func() any { return newInflater() }}
	zstdReaders = sync.Pool{New: func() any { return new(zstd.Decoder) }}
	zstdWriters = sync.Pool{New: func() any { return new(zstd.Encoder) }}
	deflaters   = sync.Pool{New: func() any {
		w, _ := flate.NewWriterWindow(nil, deflateWindow) // fails for other windows only
		return w
	}}
)

// decompress fills out from packed, which may have bytes of no meaning at its end.
func decompress(how compression, out, packed []byte) error {
	var err error
	if how == compressZstd {
		err = unzstd(out, packed)
	} else {
		f := inflaters.Get().(*inflater)
		defer inflaters.Put(f)
		err = f.inflate(out, packed)
	}
	if err != nil {
		return fmt.Errorf("unpacking a %s cluster: %w: %w", how, err, syscall.EIO)
	}
	return nil
}

// unzstd unpacks frame after frame until out is full.
func unzstd(out, packed []byte) error {
	d := zstdReaders.Get().(*zstd.Decoder)
	defer zstdReaders.Put(d)
	for len(out) > 0 {
		n, took, err := d.Decode(out, packed)
		if err != nil {
			return err
		}
		out, packed = out[n:], packed[took:]
	}
	return nil
}

// compress appends plain, packed, to out[:0]. It returns nil if the result would not be shorter.
func compress(how compression, out, plain []byte) ([]byte, error) {
	limit := len(plain) - 1
	if isRun(plain) {
		return packRun(how, out[:0], plain[0], len(plain)), nil
	}
	if how == compressZstd {
		e := zstdWriters.Get().(*zstd.Encoder)
		defer zstdWriters.Put(e)
		if packed := e.Encode(out[:0], plain); len(packed) <= limit {
			return packed, nil
		}
		return nil, nil
	}
	w := &limitWriter{buf: out[:0], limit: limit}
	f := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(f)
	f.Reset(w)
	_, err := f.Write(plain)
	if err == nil {
		err = f.Close()
	}
	if errors.Is(err, errTooLong) {
		return nil, nil
	}
	return w.buf, err
}

var errTooLong = errors.New("longer than a cluster")

// limitWriter collects at most limit bytes.
type limitWriter struct {
	buf   []byte
	limit int
}

func (w *limitWriter) Write(p []byte) (int, error) {
	if len(w.buf)+len(p) > w.limit {
		return 0, errTooLong
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// packing is a cluster on its way to be stored compressed.
type packing struct {
	v      driver.Vec
	off    int64
	buf    *[]byte // memory of packed
	packed []byte  // nil: does not get shorter
}

// writeCompressed stores whole clusters compressed. They are packed at the same time and stored one
// after the other, so that their place does not depend on chance. The last one may end with the
// image. As in QEMU, a cluster that cannot be stored does not keep the next format.MaxParallel from
// being stored.
func (q *image) writeCompressed(ctx context.Context, v driver.Vec, off int64) error {
	if q.encryption != nil && !q.likeQEMU {
		return refuse(syscall.ENOTSUP,
			"Compressed clusters of an encrypted image would be in the clear")
	}
	n := v.Len()
	if q.within(off) != 0 || q.within(n) != 0 && off+n != q.size.Load() {
		return syscall.EINVAL
	}
	var failed error
	for done, end := int64(0), n; done < end; {
		batch := make([]packing, 0, format.MaxParallel)
		for ; done < end && len(batch) < format.MaxParallel; done += q.cluster {
			batch = append(batch,
				packing{v: v.Slice(done, min(q.cluster, n-done)), off: off + done})
		}
		if err := wait.Fan(ctx, len(batch),
			func(_ context.Context, i int) error { return q.pack(&batch[i]) }); err != nil {
			return err
		}
		for _, p := range batch {
			if p.off >= off+end {
				break
			}
			if err := q.storePacked(ctx, p); err != nil && failed == nil {
				failed = err
				end = min(n, p.off-off+(format.MaxParallel+1)*q.cluster)
			}
		}
	}
	return failed
}

func (q *image) pack(p *packing) (err error) {
	plain := q.Buffers.Get(q.cluster)
	defer q.Buffers.Put(plain)
	clear((*plain)[p.v.CopyTo(*plain):])
	p.buf = q.Buffers.Get(q.cluster)
	if p.packed, err = compress(q.hdr.Compression, *p.buf, *plain); err != nil {
		return fmt.Errorf("packing a %s cluster: %w: %w", q.hdr.Compression, err, syscall.EINVAL)
	}
	return nil
}

// storePacked writes a packed cluster and enters it into its L2 table.
func (q *image) storePacked(ctx context.Context, p packing) error {
	defer q.Buffers.Put(p.buf)
	if p.packed == nil {
		return q.WriteVec(ctx, p.v, p.off, 0)
	}
	a, err := q.placePacked(ctx, p)
	if err != nil {
		return err
	}
	err = q.Fire(ctx, driver.EvWriteCompressed)
	if err == nil {
		err = q.writeFile(ctx, p.packed, a.Host)
	}
	ctx = format.Uncancelled(ctx)
	if lockErr := q.LockAnyway(ctx); lockErr != nil {
		return lockErr
	}
	defer q.Unlock()
	defer q.Finish(a)
	if err == nil {
		err = q.commitPacked(ctx, a, int64(len(p.packed)))
	}
	if err != nil {
		q.free(ctx, a.Host, int64(len(p.packed)), discardNever)
	}
	return err
}

// placePacked takes bytes of the file for a packed cluster. Its guest cluster is held until finish.
// A cluster that has a place already is not compressed over: EIO, as in QEMU.
func (q *image) placePacked(ctx context.Context, p packing) (*format.Allocation, error) {
	if err := q.Lock(ctx); err != nil {
		return nil, err
	}
	defer q.Unlock()
	if err := q.WaitIdle(ctx, p.off, q.cluster); err != nil {
		return nil, err
	}
	ctx = format.Uncancelled(ctx)
	if err := q.BeginChange(ctx, p.off, q.cluster); err != nil {
		return nil, err
	}
	s, slot, err := q.writable(ctx, p.off)
	if err != nil {
		return nil, err
	}
	taken := s.entry(slot).host() != 0
	q.l2.Put(s.Table)
	if taken {
		return nil, &driver.Refusal{
			Text: "a cluster that has a place already is not compressed; write without -c",
			Err:  syscall.EIO,
		}
	}
	n := int64(len(p.packed))
	host, err := q.allocateBytes(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := q.guardMetadata(ctx, 0, host, n); err != nil {
		return nil, err
	}
	q.Unpacked.Drop(host, n)
	a := &format.Allocation{
		Guest: p.off, Host: host, Len: q.cluster,
		Tail: format.Span{Off: q.cluster},
	}
	q.Begin(a)
	return a, nil
}

// commitPacked enters a packed cluster of n bytes.
func (q *image) commitPacked(ctx context.Context, a *format.Allocation, n int64) error {
	if err := q.usable(); err != nil {
		return err
	}
	if err := q.orderCommit(ctx); err != nil {
		return err
	}
	s, slot, err := q.writable(ctx, a.Guest)
	if err != nil {
		return err
	}
	defer q.l2.Put(s.Table)
	if err := q.Fire(ctx, driver.EvL2UpdateCompressed); err != nil {
		return err
	}
	sectors := (a.Host+n-1)/csectorSize - a.Host/csectorSize
	s.set(slot, entry{desc: flagCompressed | uint64(sectors)<<q.csizeShift | uint64(a.Host)})
	q.l2.Changed(s.Table)
	return nil
}
