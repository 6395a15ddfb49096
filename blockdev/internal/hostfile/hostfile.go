// Package hostfile is what regular files and devices of the host have in common as block nodes: how
// they are opened and opened again, how they are locked, in which units a descriptor takes
// requests, and how data gets in and out.
//
// The drivers file and hostdevice embed File and add what differs: sizes, zeroes, discards, status
// and truncation.
package hostfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/engine"
	"github.com/blksh/blksh/blockdev/internal/imagelock"
	"github.com/blksh/blksh/blockdev/target"
)

// Options are those that files and devices take alike. Values of enumerations are judged here,
// because QEMU words their errors differently.
type Options struct {
	Filename     string  `option:"filename" help:"path of the file or device"`
	AIO          *string `option:"aio" known:"threads,native,io_uring" help:"how requests reach the kernel; if not given, a ring for batches, and plain calls for single requests and for files in memory"`
	AIOMaxBatch  int64   `option:"aio-max-batch" default:"0" help:"most requests handed to the kernel at once, 0 for what suits the file"`
	Locking      string  `option:"locking" known:"auto,on,off" default:"auto" help:"whether to take image locks"`
	DropCache    bool    `option:"drop-cache" default:"on" help:"taken for QEMU's sake: concerns live migration only"`
	CheckDropped bool    `option:"x-check-cache-dropped" default:"off" help:"taken for QEMU's sake: concerns live migration only"`
}

// aio is how requests are made, "" if nobody asked.
func (o *Options) aio() string {
	if o.AIO == nil {
		return ""
	}
	return *o.AIO
}

// fixed names an option that cannot change while a file is open, and is not the same in next; "" if
// there is none.
func (o *Options) fixed(next *Options) string {
	switch {
	case next.Filename != o.Filename:
		return "filename"
	case next.aio() != o.aio():
		return "aio"
	case next.Locking != o.Locking:
		return "locking"
	}
	return ""
}

// check judges the enumerations and what they ask of each other.
func (o *Options) check(direct bool) error {
	if o.AIO != nil && !slices.Contains([]string{"threads", "native", "io_uring"}, *o.AIO) {
		return fmt.Errorf("invalid parameter value: %s", *o.AIO)
	}
	if !slices.Contains([]string{"auto", "on", "off"}, o.Locking) {
		return fmt.Errorf("invalid parameter value: %s", o.Locking)
	}
	if o.aio() == "native" && !direct {
		return driver.Refuse(
			"aio=native was specified, but it requires cache.direct=on, which was not specified.")
	}
	return nil
}

// Config is what a driver adds to an Opening.
type Config struct {
	// Accept refuses files of the wrong kind.
	Accept func(st *unix.Stat_t) error
	// Writable is asked before a descriptor for writing is used; nil agrees.
	Writable func(fd int) error
	// NonBlocking leaves O_NONBLOCK set, which lets drives without a medium be opened.
	NonBlocking bool
	// Size is the length of an open file; nil stands for the offset of its end.
	Size func(fd int) (int64, error)
	// Port is used instead of the one that the option aio asks for.
	Port engine.Port
}

// File is an open file or device of the host.
type File struct {
	driver.Leaf

	driver  string
	name    string
	from    string // the image that names it, see blockdev.Link
	cfg     Config
	options *Options
	shared  bool // opened to force-share
	port    engine.Port
	lock    imagelock.Lock
	size    atomic.Int64
	lost    atomic.Pointer[span]  // what others have cut off, see checkEnd
	broken  atomic.Pointer[error] // why a sync failed, see Flush

	mu     sync.Mutex
	cur    atomic.Pointer[descriptor] // changed with mu held
	next   *descriptor                // while a reopen is prepared, nil otherwise
	closed bool
}

// descriptor is one open file descriptor with what depends on how it was opened. It is closed when
// its last user is done with it, so that reopening need not wait for requests.
type descriptor struct {
	fd       int
	users    int // guarded by File.mu
	flags    int
	readOnly bool
	direct   bool
	align    int64 // of offsets and lengths
	memAlign int64
	// release ends what Admit began. It is called with the request to close or reopen the file, not
	// when the last user is done.
	release func()
	// whyReadOnly is why a file that was to be writable is not.
	whyReadOnly error
}

var _ interface {
	driver.Node
	driver.Claimer
	driver.Reopener
	driver.Hosted
} = (*File)(nil)

// Open opens what o names. The caller measures it.
func Open(o *driver.Opening, cfg Config) (*File, error) {
	opts := o.Config.(*Options)
	name := opts.Filename
	if name == "" {
		return nil, &driver.NoFileNameError{Driver: o.Driver.Name}
	}
	if err := opts.check(o.Mode.Direct); err != nil {
		return nil, err
	}
	if cfg.Size == nil {
		cfg.Size = func(fd int) (int64, error) { return unix.Seek(fd, 0, unix.SEEK_END) }
	}
	f := &File{
		driver: o.Driver.Name, name: name, from: o.From, cfg: cfg, options: opts,
		shared: o.Mode.ForceShare,
	}
	d, err := f.open(name, o)
	if err != nil {
		return nil, err
	}
	f.cur.Store(d)
	if !f.shared && (opts.Locking == "on" || opts.Locking == "auto" && imagelock.Supported(d.fd)) {
		f.lock.Attach(d.fd, name)
	}
	f.port = cfg.Port
	if f.port == nil {
		f.port = newPort(opts.aio())
	}
	return f, nil
}

// newPort is the port that the option aio asks for. Native requests take the ring as well: both
// mean that the kernel holds the request and not a thread. Where there is no ring, plain calls do
// the same, only slower.
func newPort(aio string) engine.Port {
	if aio == "native" || aio == "io_uring" {
		if p, err := engine.NewRing(); err == nil {
			return p
		}
	}
	return engine.Sync{}
}

// open opens path as o wants it, read-only if need be and allowed.
func (f *File) open(path string, o *driver.Opening) (*descriptor, error) {
	pin, err := f.find(path)
	if err != nil {
		return nil, driver.Because(err, fmt.Sprintf("Could not open '%s'", f.name))
	}
	defer pin.Close()
	pin.Name = f.name
	d, err := f.openAdmitted(pin, o)
	if err == nil || o.Mode.ReadOnly || !o.Mode.AutoReadOnly || !isPermission(err) {
		return d, err
	}
	before := o.Mode
	o.SetReadOnly()
	d, roErr := f.openAdmitted(pin, o)
	if roErr != nil {
		o.Mode = before
		return nil, err
	}
	d.whyReadOnly = err
	return d, nil
}

// openAdmitted opens what was found, if the opener's rule lets it. What it is asked about is what
// is opened.
func (f *File) openAdmitted(pin *target.Pin, o *driver.Opening) (*descriptor, error) {
	release := func() {}
	kind := pin.Kind()
	if device := kind == unix.S_IFBLK || kind == unix.S_IFCHR; device || kind == unix.S_IFREG &&
		!o.Mode.ReadOnly {
		var err error
		if release, err = o.Admit(pin.HostFile); err != nil {
			return nil, err
		}
	}
	d, err := f.openAs(pin, o.Mode)
	if err != nil {
		release()
		return nil, err
	}
	d.release = release
	return d, nil
}

func isPermission(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EPERM)
}

// openFlags are those of open(2). O_NONBLOCK keeps a pipe without a writer from holding the open
// up; it is cleared again once the file is known to be of the right kind.
func openFlags(m driver.Mode) int {
	flags := unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_RDWR
	if m.ReadOnly {
		flags = unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_RDONLY
	}
	if m.Direct {
		flags |= unix.O_DIRECT
	}
	return flags
}

func (f *File) openAs(pin *target.Pin, m driver.Mode) (*descriptor, error) {
	flags := openFlags(m)
	fd, err := pin.Open(flags)
	if err != nil {
		return nil, f.openError(pin, flags, err)
	}
	d := &descriptor{
		fd: fd, users: 1, flags: flags, readOnly: m.ReadOnly, direct: m.Direct,
		align: 1, memAlign: 1,
	}
	if err := f.prepare(d); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return d, nil
}

// prepare judges a fresh descriptor and learns its alignment.
func (f *File) prepare(d *descriptor) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return driver.Because(err, "Could not stat file")
	}
	if err := f.cfg.Accept(&st); err != nil {
		return err
	}
	if !f.cfg.NonBlocking {
		if _, err := unix.FcntlInt(uintptr(d.fd), unix.F_SETFL,
			d.flags&^unix.O_NONBLOCK); err != nil {
			return driver.Because(err, "Could not set up file")
		}
	}
	if !d.readOnly && f.cfg.Writable != nil {
		if err := f.cfg.Writable(d.fd); err != nil {
			return err
		}
	}
	if d.direct {
		d.align, d.memAlign = alignment(d.fd)
	}
	return nil
}

// openError words a refused open, and finds out whether O_DIRECT alone is what the file system
// refuses.
func (f *File) openError(pin *target.Pin, flags int, err error) error {
	if errors.Is(err, unix.EINVAL) && flags&unix.O_DIRECT != 0 {
		if fd, plain := pin.Open(flags &^ unix.O_DIRECT); plain == nil {
			_ = unix.Close(fd)
			return driver.RefuseAs(err, "Could not open '%s': filesystem does not support O_DIRECT",
				f.name)
		}
	}
	return driver.Because(err, fmt.Sprintf("Could not open '%s'", f.name))
}

// Identity tells the file from any other.
func (f *File) Identity() (device, inode uint64) {
	var st unix.Stat_t
	// a descriptor that is open has a status
	_ = f.With(func(fd int) error { return unix.Fstat(fd, &st) })
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		return st.Rdev, 0
	}
	return st.Dev, st.Ino
}

// Name is the path as it was given.
func (f *File) Name() string { return f.name }

// Is says whether f leads to the open file.
func (f *File) Is(other driver.HostFile) bool {
	var own, st unix.Stat_t
	err := f.With(
		func(fd int) error { return errors.Join(unix.Fstat(fd, &own), unix.Fstat(other.FD, &st)) })
	if err != nil {
		return false
	}
	if st.Mode&unix.S_IFMT == unix.S_IFBLK && own.Mode&unix.S_IFMT == unix.S_IFBLK {
		return own.Rdev == st.Rdev
	}
	return own.Dev == st.Dev && own.Ino == st.Ino
}

// acquire pins the current descriptor until release. After Close there is none.
func (f *File) acquire() (*descriptor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, os.ErrClosed
	}
	d := f.cur.Load()
	d.users++
	return d, nil
}

// release gives d up. The last one closes it, and learns what the system has to say then.
func (f *File) release(d *descriptor) error {
	f.mu.Lock()
	d.users--
	last := d.users == 0
	f.mu.Unlock()
	if !last {
		return nil
	}
	imagelock.Drop(d.fd)
	// interrupted, it is closed all the same
	if err := unix.Close(d.fd); err != nil && err != unix.EINTR {
		return fmt.Errorf("close %s: %w", f.name, err)
	}
	return nil
}

// With calls do with the descriptor, which stays open meanwhile. Interrupted calls are repeated.
func (f *File) With(do func(fd int) error) error {
	d, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release(d)
	for {
		if err := do(d.fd); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Info gives the driver's name, the size and what the descriptor asks for.
func (f *File) Info() driver.Info {
	d := f.cur.Load()
	i := driver.Info{Driver: f.driver, KnowsSizes: true, Limits: driver.Limits{
		Size: f.size.Load(), RequestAlign: d.align, MemAlign: d.memAlign, MaxIOV: engine.MaxPieces,
	}}
	if l := f.lost.Load(); l != nil {
		i.LostOff, i.LostEnd = l.off, l.end
	}
	return i
}

// Buffered says that requests go through the page cache.
func (f *File) Buffered() bool { return !f.cur.Load().direct }

// ReadVec reads whole requests; behind the end there are zeroes.
func (f *File) ReadVec(ctx context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	d, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release(d)
	return f.read(ctx, f.port, d, v, off)
}

// read reads by a port.
func (f *File) read(ctx context.Context, p engine.Port, d *descriptor, v driver.Vec,
	off int64,
) error {
	done, err := engine.Read(ctx, p, d.fd, v, off, d.align)
	if err != nil || done == v.Len() {
		return err
	}
	if err := f.checkEnd(d.fd, off+done); err != nil {
		return err
	}
	v.Slice(done, v.Len()-done).Clear()
	return nil
}

// WriteVec writes whole requests.
func (f *File) WriteVec(ctx context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	d, err := f.acquire()
	if err != nil {
		return err
	}
	defer f.release(d)
	return engine.Write(ctx, f.port, d.fd, v, off, d.align)
}

// Flush is fdatasync(2). Once it failed, the system may have dropped what never reached the disk,
// and would report the next sync as fine. So the error stays until the file is closed.
func (f *File) Flush(context.Context) error {
	if err := f.broken.Load(); err != nil {
		return *err
	}
	err := f.With(unix.Fdatasync)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		f.broken.CompareAndSwap(nil, &err)
	}
	return err
}

// Claim turns what is done with the image into image locks. While a reopen is prepared it is about
// the descriptor to come.
func (f *File) Claim(_ context.Context, c driver.Claim) error {
	f.mu.Lock()
	d := cmp.Or(f.next, f.cur.Load())
	f.mu.Unlock()
	if d.whyReadOnly != nil && c.Use&(driver.PermWrite|driver.PermResize) != 0 {
		return d.whyReadOnly
	}
	return f.lock.Claim(c)
}

// Close closes the file once the last request is done, which also gives up its locks.
func (f *File) Close() error {
	f.mu.Lock()
	d, closed := f.cur.Load(), f.closed
	f.closed = true
	f.mu.Unlock()
	if closed {
		return os.ErrClosed
	}
	err := errors.Join(f.port.Close(), f.release(d))
	d.release()
	return err
}

// Prepare opens the file once more in the new mode, if that differs. Its locks are on both
// descriptors until commit or abort.
func (f *File) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	opts := o.Config.(*Options)
	if key := f.options.fixed(opts); key != "" {
		return nil, nil, driver.Refuse("Cannot change the option '%s'", key)
	}
	if o.Mode.ForceShare != f.shared {
		return nil, nil, driver.Refuse("Cannot change the option 'force-share'")
	}
	if err := opts.check(o.Mode.Direct); err != nil {
		return nil, nil, err
	}
	old := f.cur.Load()
	if openFlags(o.Mode) == old.flags {
		return nil, nil, nil
	}
	d, err := f.reopen(old, o)
	if err != nil {
		return nil, nil, err
	}
	if err := f.lock.Move(d.fd); err != nil {
		f.discard(d)
		return nil, nil, err
	}
	f.install(old, d)
	commit = func() {
		f.lock.Moved()
		imagelock.Drop(old.fd) // or a request that still uses it stands against the next reopening
		f.install(d, nil)
		f.discard(old)
	}
	abort = func() {
		f.lock.Stay()
		f.install(old, nil)
		f.discard(d)
	}
	return commit, abort, nil
}

// discard gives up a descriptor by which nothing was written that has not been synced.
func (f *File) discard(d *descriptor) {
	_ = f.release(d)
	d.release()
}

// install sets the current descriptor and the one to come, if any.
func (f *File) install(cur, next *descriptor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cur.Store(cur)
	f.next = next
}

// reopen opens the file behind old in another mode. It goes by the descriptor and not by the name,
// which may mean another file by now.
func (f *File) reopen(old *descriptor, o *driver.Opening) (*descriptor, error) {
	d, err := f.open(fmt.Sprintf("/proc/self/fd/%d", old.fd), o)
	if errors.Is(err, unix.ENOENT) { // no /proc
		d, err = f.open(f.name, o)
	}
	if err != nil {
		return nil, err
	}
	var was, is unix.Stat_t
	err = errors.Join(unix.Fstat(old.fd, &was), unix.Fstat(d.fd, &is))
	if err == nil && (was.Dev != is.Dev || was.Ino != is.Ino) {
		err = driver.Refuse("Could not reopen file: '%s' is another file now", f.name)
	}
	if err != nil {
		f.discard(d)
		return nil, err
	}
	return d, nil
}
