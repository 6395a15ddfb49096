package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/ondisk"
	"github.com/blksh/blksh/commands/session"
)

var show = session.Command{
	Name: "show", Needs: session.File,
	Group:     session.GroupLook,
	Elsewhere: []string{"fdisk", "decode"},
	Args:      "[structure [off]]",
	Short:     "decodes what lies on the disk, field by field",
	Long: ` Example:
 show                  every structure that is recognised at the beginning
 show gpt              the partition table, and whether its checksums are right
 show ext4 1M          the superblock of the filesystem that begins at 1 MiB
 show qcow2            the header of the file of the image that is open

 The structures are mbr, gpt, qcow2, luks, ext4 and xfs. Each field comes with
 its offset and length, which other commands take as they stand. It fails if
 there is no such structure.
`,
	New: func(f *session.Flags) session.Run {
		name := ""
		off := int64(0)
		f.OptEnumWord(&name, "structure", ondisk.Names()...)
		f.OptOperand(&off, "off")
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			return showAt(ctx, s, im, name, off)
		}
	},
}

// showAt tells of the structures of that name, or of any, of what begins at off.
func showAt(ctx context.Context, s *session.Session, im *session.Image, name string,
	off int64,
) error {
	if off > im.Dev.Size() {
		return stopped(ctx, "show", event.Range{Off: off}, 0, im.Dev.Read(ctx, nil, off, 0))
	}
	found := false
	for _, structure := range ondisk.Structures() {
		if name != "" && structure.Name != name {
			continue
		}
		parts, err := decodeOn(ctx, s, im, structure, off)
		if err != nil {
			return err
		}
		for _, p := range parts {
			s.Emit(event.Shown{
				Structure: structure.Name, Part: p.Name, Off: p.Off,
				Fields: p.Fields,
			})
			found = true
		}
	}
	if !found {
		return event.Fail(event.NothingShown{Structure: name, Off: off})
	}
	return nil
}

// decodeOn decodes a structure of what begins at off: of the file of the image, if it belongs
// there.
func decodeOn(ctx context.Context, s *session.Session, im *session.Image,
	structure *ondisk.Structure, off int64,
) (parts []ondisk.Part, err error) {
	dev, about := im.Dev, im.Describe()
	if structure.InFile && off == 0 && about.Path != "" && about.Format == structure.Name {
		dev, err = s.OpenBeside(ctx, session.Opening{
			Name: about.Path, Format: "raw", ReadOnly: true, ForceShare: true,
		})
		if err != nil {
			return nil, err
		}
		defer func() { err = s.Also(err, s.CloseBeside(dev)) }()
	}
	err = s.Request(ctx, "show", func(ctx context.Context) error {
		parts, err = structure.Decode(func(at int64, n int) ([]byte, error) {
			b := make([]byte, max(0, min(int64(n), dev.Size()-off-at)))
			return b, dev.Read(ctx, blockdev.Vec{b}, min(off+at, dev.Size()), 0)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i].Off += off
		for f := range parts[i].Fields {
			parts[i].Fields[f].Off += off
		}
	}
	return parts, nil
}
