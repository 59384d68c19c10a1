//go:build linux

package fault

import (
	"context"
	"fmt"
)

// stallLog makes appends to the log hang; all else on the disk works.
func stallLog(_ context.Context, a *act) (func() error, error) {
	return func() error { return a.target.SetStall(false) }, a.target.SetStall(true)
}

// freezeDisk makes whatever writes to the disk hang.
func freezeDisk(_ context.Context, a *act) (func() error, error) {
	return a.target.Thaw, a.target.Freeze()
}

// fillDisk leaves little space, or none.
func fillDisk(_ context.Context, a *act) (func() error, error) {
	leave := int64(0)
	if a.rand.IntN(2) == 0 {
		leave = a.rand.Int64N(4 << 20)
	}
	a.note = fmt.Sprintf("%d bytes left", leave)
	return a.target.Drain, a.target.Fill(leave)
}
