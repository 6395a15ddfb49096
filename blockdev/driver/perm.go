package driver

import "context"

// Perm is a set of permissions on a node, one bit each, numbered as in QEMU's image locks.
type Perm uint8

// The permissions.
const (
	PermRead Perm = 1 << iota
	PermWrite
	PermWriteUnchanged
	PermResize

	PermAll = PermRead | PermWrite | PermWriteUnchanged | PermResize
)

// Claim is what a parent does with a node (Use) and lets others do with it meanwhile (Share).
// Claims travel down: raw and filters pass theirs on, formats add what they need, and the protocol
// turns the result into locks.
type Claim struct{ Use, Share Perm }

// Claimer is a node that turns its parent's claim into something else than the same claim on its
// primary child.
type Claimer interface {
	// Claim is called at open, reopen and when a Device learns that it must write or resize. On an
	// error the old claim stays in force. At a reopen it is called between Prepare and commit or
	// abort: it is about the node as it is to be, and abort brings the claim before back.
	Claim(ctx context.Context, c Claim) error
}

// ClaimOn hands a claim to n, which is the first node at or below it that is a Claimer.
func ClaimOn(ctx context.Context, n Node, c Claim) error {
	if cl, ok := Find[Claimer](n); ok {
		return cl.Claim(ctx, c)
	}
	return nil
}
