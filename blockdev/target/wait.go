package target

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// OpenUntil is Open that ends with ctx, with its cause: whoever opens a FIFO waits for its other
// end.
func (p *Pin) OpenUntil(ctx context.Context, flags int) (int, error) {
	if p.Kind() != unix.S_IFIFO {
		return p.Open(flags)
	}
	type result struct {
		fd  int
		err error
	}
	opened := make(chan result, 1)
	go func() {
		fd, err := p.Open(flags)
		opened <- result{fd, err}
	}()
	select {
	case r := <-opened:
		return r.fd, r.err
	case <-ctx.Done():
	}
	// With both ends open nobody waits any more.
	if both, err := p.Open(unix.O_RDWR | unix.O_NONBLOCK); err == nil {
		if r := <-opened; r.err == nil {
			_ = unix.Close(r.fd)
		}
		_ = unix.Close(both)
	}
	return -1, context.Cause(ctx)
}

// Input is a file that is read, such as a script or a journal.
type Input struct {
	*os.File
	stop func() bool // ends the watch over ctx
}

// OpenInput opens a file, or whatever else has a name, to read it. Where that or reading would wait
// for somebody, as with a FIFO, it fails when ctx ends.
func OpenInput(ctx context.Context, name string) (*Input, error) {
	p, err := Find(name)
	if err != nil {
		return nil, pathError(name, err)
	}
	defer p.Close()
	fd, err := p.OpenUntil(ctx, unix.O_RDONLY|unix.O_NOCTTY)
	if err != nil {
		return nil, pathError(name, err)
	}
	in, stop := interruptible(ctx, p, fd, name)
	return &Input{in, stop}, nil
}

// ReadInput reads at most limit bytes of a file, as OpenInput.
func ReadInput(ctx context.Context, name string, limit int) ([]byte, error) {
	in, err := OpenInput(ctx, name)
	if err != nil {
		return nil, err
	}
	defer in.Close() // it was only read
	return io.ReadAll(io.LimitReader(in, int64(limit)))
}

// irregular is the error of a name where only a regular file makes sense.
type irregular struct{}

func (irregular) Error() string { return "it is no regular file" }

// ReadRegular reads a regular file of at most limit bytes. It waits for nobody: a FIFO and a device
// are refused unread, and a longer file is EFBIG.
func ReadRegular(name string, limit int64) ([]byte, error) {
	p, err := Find(name)
	if err != nil {
		return nil, pathError(name, err)
	}
	defer p.Close()
	switch p.Kind() {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return nil, pathError(name, unix.EISDIR)
	default:
		return nil, irregular{}
	}
	fd, err := p.Open(unix.O_RDONLY)
	if err != nil {
		return nil, pathError(name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = pathError(name, unix.EFBIG)
	}
	return text, err
}

// InputOf is what f reads as an Input of its own, such as the pipe of the standard input. Where it
// cannot be opened again it is f itself, and then Read waits as long as it takes.
func InputOf(ctx context.Context, f *os.File) *Input {
	if p, err := Find(descriptorPath(int(f.Fd()))); err == nil {
		defer p.Close()
		if p.Kind() == unix.S_IFIFO {
			if fd, err := p.Open(unix.O_RDONLY | unix.O_NONBLOCK); err == nil {
				in, stop := interruptible(ctx, p, fd, f.Name())
				return &Input{in, stop}
			}
		}
	}
	return &Input{f, unwatched}
}

// unwatched ends the watch over a context where there is none.
func unwatched() bool { return false }

// Close closes the file.
func (i *Input) Close() error {
	i.stop()
	return i.File.Close()
}

// interruptible is an open file. If it is a FIFO, what waits to read or write it fails from the end
// of ctx on.
func interruptible(
	ctx context.Context, p *Pin, fd int, name string,
) (f *os.File, stop func() bool) {
	if p.Kind() != unix.S_IFIFO || unix.SetNonblock(fd, true) != nil {
		return os.NewFile(uintptr(fd), name), unwatched
	}
	f = os.NewFile(uintptr(fd), name)
	return f, context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
}
