package qcow2

import (
	"context"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// vmStateAt is the guest offset of a byte of machine state, which lies behind all that the L1 table
// needs for the guest.
func (q *image) vmStateAt(off, n int64) (int64, error) {
	base := q.vmState.Load()
	if off < 0 || off > math.MaxInt64-base-n {
		return 0, syscall.EIO
	}
	if q.Transform != nil && (off|n)%driver.SectorSize != 0 {
		return 0, invalid("Machine state of an encrypted image is made of whole sectors")
	}
	return base + off, nil
}

// ReadVMState reads machine state; what was never written is zero.
func (q *image) ReadVMState(ctx context.Context, v driver.Vec, off int64) error {
	return q.moveVMState(ctx, v, off, driver.EvVMStateLoad, q.ReadVec)
}

// WriteVMState writes machine state; the L1 table grows for it.
func (q *image) WriteVMState(ctx context.Context, v driver.Vec, off int64) error {
	return q.moveVMState(ctx, v, off, driver.EvVMStateSave, q.WriteVec)
}

func (q *image) moveVMState(ctx context.Context, v driver.Vec, off int64, e driver.Event,
	move func(context.Context, driver.Vec, int64, driver.Flags) error,
) error {
	at, err := q.vmStateAt(off, v.Len())
	if err != nil || v.Len() == 0 {
		return err
	}
	if err := q.Fire(ctx, e); err != nil {
		return err
	}
	return move(ctx, v, at, 0)
}
