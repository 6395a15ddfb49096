package commands

import (
	"context"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/picture"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/job"
)

// damageSigns are what blocks show as in a picture, by what happened to them.
var damageSigns = [...]rune{
	verify.Other: '?', verify.Mixed: '*', verify.Filled: 'f', verify.Zeroed: 'z',
	verify.OneBit: 'b', verify.Shifted: 'h', verify.Misdirected: 'm', verify.Stale: 's',
	verify.Torn: 't', verify.Foreign: 'x', verify.HeaderOnly: 'H', verify.PayloadOnly: 'P',
	verify.ContentMismatch: 'u', verify.Leftover: 'l', verify.NotZero: 'n',
	verify.OtherType: 'o', verify.CutOff: 'c',
}

// damageClasses are the classes of a picture of blocks: what may have happened to them, in the
// order of [verify.Classes], and behind it that nothing did.
func damageClasses() []picture.Class {
	var list []picture.Class
	for _, c := range verify.Classes() {
		list = append(list,
			picture.Class{Name: c.String(), Sign: damageSigns[c], Role: colour.Wrong})
	}
	return append(list,
		picture.Empty("no damage found"))
}

// verifyDrawn verifies the blocks and draws what became of them.
func (b *blockJob) verifyDrawn(ctx context.Context, s *session.Session) error {
	if err := b.drawing.begin(ctx, s, b.span(), damageClasses()); err != nil {
		return err
	}
	err := b.verify(ctx, s)
	return b.drawing.end(s, "damage of "+b.image.Describe().Path, err)
}

// drawBad draws a bad block.
func (b *blockJob) drawBad(bad *job.Bad) { b.drawing.add(bad.Off, bad.Len, int(bad.Cause.Class)) }

// drawRest draws that nothing happened to all other blocks, if that is known.
func (b *blockJob) drawRest(r *job.Result) {
	if r.Done && r.Blocks > 0 {
		b.drawing.fill(len(verify.Classes()))
	}
}
