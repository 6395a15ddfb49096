//go:build !rbd

package drivers

import "github.com/blksh/blksh/blockdev/driver"

// tagged adds nothing: this build has no drivers that need more than Go.
func tagged(all []driver.Driver) []driver.Driver { return all }
