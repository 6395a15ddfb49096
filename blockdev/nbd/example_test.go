package nbd_test

import (
	"context"
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// A server that is started for this, and its export.
func Example() {
	ctx := context.Background()
	server, err := nbd.StartServer([]string{"nbdkit", "-f", "memory", "1M"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := nbd.Dial(ctx, nbd.Config{Address: server.Address()})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.Write(ctx, driver.Vec{[]byte("hello")}, 4096, true)
	fmt.Println(err)
	extents, err := client.BlockStatus(ctx, 0, 1<<20)
	fmt.Println(len(extents), err)
	fmt.Println(client.Close(), server.Stop())
}
