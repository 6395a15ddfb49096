package commands_test

import "testing"

func TestRead(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"plain", 1024, "read 0 512", "read 512/512 bytes at offset 0\n" + tick, 0},
		{"dump before report", 1024, "read -v 1 3", "00000001:  01 02 03  ...\nread 3/3 bytes at offset 1\n3 bytes, 1 ops; 00.00 sec (2.930 KiB/sec and 1000.0000 ops/sec)\n", 0},
		{"quiet wins over dump", 1024, "read -qv 0 512", "", 0},
		{"mismatch counts and goes on", 1024, "read -P 1 0 512\nread -q -P 1 1 1", "Pattern verification failed at offset 0, 512 bytes\nread 512/512 bytes at offset 0\n" + tick, 1},
		{"part of a pattern", 1024, "read -q -P 7 -s 7 -l 1 0 512\nread -q -P 7 -s 7 -l 2 0 512", "Pattern verification failed at offset 7, 2 bytes\n", 1},
		{"nothing to check", 1024, "read -q -P 9 -l 0 0 512", "", 0},
		{"part beyond the end", 1024, "read -P 9 -s 9223372036854775807 -l 9223372036854775807 0 512", "pattern verification range exceeds end of read data\n", 1},
		{"part without a pattern", 1024, "read -l 1 0 512", "read [-abCqrv] [-P pattern [-s off] [-l len]] off len -- reads a number of bytes at a specified offset\n", 1},
		{"past the end", 1024, "read 512 1024\nread 1024 0", "read failed: Input/output error\nread 0/0 bytes at offset 1024\n0 bytes, 1 ops; 00.00 sec (0 bytes/sec and 1000.0000 ops/sec)\n", 1},
		{"vectors", 1024, "readv -q -P 0 0 1\nreadv 0 256 128 128", "read 512/512 bytes at offset 0\n" + tick, 0},
		{"a vector too long", 1024, "readv 0 512 2G\nreadv 0 1536M 1G", "Argument '2G' exceeds maximum size 2147483136\nThe total number of bytes exceed the maximum size 2147483136\n", 1},
		{"not the vm state", 1024, "read -b 0 512\nread -b 1 512", "read failed: Operation not supported\n1 is not a sector-aligned value for 'offset'\n", 1},
		{"bad pattern", 1024, "read -P 0x100 0 512", "0x100 is not a valid pattern byte\n", 1},
		{"what a driver leaves untouched", 0, "open -o driver=null-co,size=1M\nread -v 0 2", "00000000:  ab ab  ..\nread 2/2 bytes at offset 0\n2 bytes, 1 ops; 00.00 sec (1.953 KiB/sec and 1000.0000 ops/sec)\n", 0},
	})
}

// TestLongRead reads more than one piece: it is checked and shown as if it were one request, and
// refused as a whole.
func TestLongRead(t *testing.T) {
	check(t, "qemu", []dialogue{
		{
			"longer than a piece", 33 << 20,
			"write -q -P 5 1 33554432\nread -q -P 5 1 33554432\nwrite -q -P 6 33554432 1\nread -q -P 5 1 33554432\nread -q 1 34603008",
			"Pattern verification failed at offset 1, 33554432 bytes\nread failed: Input/output error\n", 1,
		},
		{
			"nothing is written beyond the end", 17 << 20,
			"write -q -P 9 0 20M\nread -q -P 0 0 1\nread -q -P 9 0 1",
			"write failed: Input/output error\nPattern verification failed at offset 0, 1 bytes\n",
			1,
		},
	})
}

func TestRead24(t *testing.T) {
	check(t, "qemu-2.4", []dialogue{
		{"sectors", 1024, "read 1 512\nread 0 511\nread -p -q 1 511\nreadv 1 512\nreadv 0 512 100", "offset 1 is not sector aligned\ncount 511 is not sector aligned\noffset 1 is not sector aligned\nlength argument 100 is not sector aligned\n", 0},
		{"lengths of 32 bits", 1024, "read 0 2G\nread 0 4294967808\nreadv 0 2G", "non-numeric length argument -- 2G\nnon-numeric length argument -- 4294967808\ntoo large length argument -- 2G\n", 0},
		{"two ways at once", 1024, "read -b -p 0 512", "-b and -p cannot be specified at the same time\n", 0},
	})
}
