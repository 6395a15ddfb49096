package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"default byte", 1024, "write 0 512\nread -q -P 0xcd 0 512\nread -q -P 0xcd 512 1", "wrote 512/512 bytes at offset 0\n" + tick + "Pattern verification failed at offset 512, 1 bytes\n", 1},
		{"zeroes", 1024, "write -qzu 0 512\nread -q -P 0 0 512", "", 0},
		{
			"combinations", 1024,
			"write -bz 0 1\nwrite -fc 0 1\nwrite -n 0 1\nwrite -u 0 1\nwrite -z -P 1 0 1\nwrite -c 0 1", "-b and -z cannot be specified at the same time\n" +
				"-f and -b or -c cannot be specified at the same time\n-n requires -z to be specified\n-u requires -z to be specified\n" +
				"Only one of -z, -P, and -s can be specified at the same time\n1 is not a sector-aligned value for 'count'\n", 1,
		},
		{"vectors", 1024, "writev -q -P 3 0 100 412\nread -q -P 3 0 512", "", 0},
		{"no zeroes of several lengths", 1024, "aio_write -z 0 1 1\naio_write -u 0 1\naio_write -i 0 1\naio_flush", "-z supports only a single length parameter\n-u requires -z to be specified\ninjecting invalid write request\n", 1},
		{"read only", 0, "open -r -o driver=null-co,size=1M\nwrite x", "!bad argument count 1 to write, expected at least 2 arguments\n", 1},
		{"read only comes before flags", 0, "open -r -o driver=null-co,size=1M\nwrite x 1", "!qemu-io: Block node is read-only\n", 1},
		{"too long", 1024, "write 0 2G\nwrite -z 0 2G", "length cannot exceed 2147483136 without -n, given 2G\nlength cannot exceed 2147483136 without -n, given 2G\n", 1},
	})
}

func TestWrite24(t *testing.T) {
	check(t, "qemu-2.4", []dialogue{
		{"read only is an error of the request", 0, "open -r -o driver=null-co,size=1M\nwrite 0 512", "write failed: Operation not permitted\n", 0},
		{"combinations", 1024, "write -pz 0 512\nwrite -zP1 0 512\nwrite -pcq 1 1", "-b, -p, or -z cannot be specified at the same time\n-z and -P cannot be specified at the same time\n", 0},
		{"no flags of later versions", 1024, "write -f 0 512", "write [-bcCpqz] [-P pattern ] off len -- writes a number of bytes at a specified offset\n!write: invalid option -- 'f'\n", 0},
	})
}

func TestMultiwrite(t *testing.T) {
	check(t, "qemu-2.4", []dialogue{
		{"bytes grow", 2048, "multiwrite -q -P 255 0 512 ; 1k 512 512 ;\nread -q -P 255 0 512\nread -q -P 0 1k 1k\nread -q -P 9 512 512", "Pattern verification failed at offset 512, 512 bytes\n", 0},
		{"one report", 2048, "multiwrite -C 512 512 ; 0 512", "1024,1,0:00:00.00,204800.000,200.000\n", 0},
		{"nothing is written if one is bad", 2048, "multiwrite 0 512 ; 1 512\nmultiwrite 0 512 ; x\nmultiwrite 0 512 ; 512 1\nread -q -P 0xcd 0 1", "offset 1 is not sector aligned\nnon-numeric offset argument -- x\nlength argument 1 is not sector aligned\ncount 1 is not sector aligned\n", 0},
		{"others are made all the same", 1024, "multiwrite 4k 512 ; 0 512\nread -q -P 0xce 0 512", "aio_multiwrite failed: Input/output error\n", 0},
		{"usage of another", 1024, "multiwrite -x 0 512", "writev [-Cq] [-P pattern ] off len [len..] -- writes a number of bytes at a specified offset\n!multiwrite: invalid option -- 'x'\n", 0},
	})
}

// TestWriteSource writes the contents of files.
func TestWriteSource(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"abc": "abc", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s := newShell(t, "qemu")
	got := s.dialogue(t, "open -o driver=raw "+raw(t, 1024),
		"write -q -s "+dir+"/abc 1 7", "read -v 0 9", "write -s "+dir+"/empty 0 1", "write -s "+dir+
			"/nosuch 0 1",
		"write -s "+dir+" 0 1", "write -s "+dir+"/abc 0 0", "write -q -s /dev/zero 0 512",
		"read -q -P 0 0 512", "write -s /dev/null 0 1")
	want := `00000000:  00 61 62 63 61 62 63 61 08  .abcabca.
read 9/9 bytes at offset 0
9 bytes, 1 ops; 00.00 sec (8.789 KiB/sec and 1000.0000 ops/sec)
!DIR/empty: file is empty
!DIR/nosuch: No such file or directory
!DIR: Is a directory
!DIR/abc: file is empty
!/dev/null: file is empty
`
	if got = strings.ReplaceAll(got, dir, "DIR"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
