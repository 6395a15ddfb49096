package print

import (
	"bytes"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// spoken is what the native printer says of events, on both streams.
func spoken(t *testing.T, events ...event.Event) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	stdout := NewStdout(&o, false)
	n := NewNative(stdout, &e, "blksh")
	for _, ev := range events {
		if !n.Print(event.Where{Line: 1}, ev) {
			t.Errorf("no words for %+v", ev)
		}
	}
	n.Flush()
	return o.String(), e.String()
}

func TestDumpStyles(t *testing.T) {
	data := []byte("The quick brown\n\x00~\xff")
	for _, tt := range []struct {
		layout event.DumpLayout
		want   string
	}{
		{
			event.DumpLayout{},
			"00000200:  54 68 65 20 71 75 69 63 6b 20 62 72 6f 77 6e 0a  The quick brown.\n" +
				"00000210:  00 7e ff                                         .~.\n",
		},
		{
			event.DumpLayout{Word: 2},
			"00000200:  6854 2065 7571 6369 206b 7262 776f 0a6e  The quick brown.\n" +
				"00000210:  7e00   ff                                .~.\n",
		},
		{
			event.DumpLayout{Word: 4, BigEndian: true},
			"00000200:  54686520 71756963 6b206272 6f776e0a  The quick brown.\n" +
				"00000210:  007eff                               .~.\n",
		},
		{
			event.DumpLayout{Word: 8},
			"00000200:  6369757120656854 0a6e776f7262206b  The quick brown.\n" +
				"00000210:            ff7e00                   .~.\n",
		},
		{
			event.DumpLayout{Style: event.StyleQEMU},
			"00000200:  54 68 65 20 71 75 69 63 6b 20 62 72 6f 77 6e 0a  The.quick.brown.\n" +
				"00000210:  00 7e ff  ...\n",
		},
		{
			event.DumpLayout{Style: event.StyleXXD},
			"00000200: 5468 6520 7175 6963 6b20 6272 6f77 6e0a  The quick brown.\n" +
				"00000210: 007e ff                                  .~.\n",
		},
		{
			event.DumpLayout{Style: event.StyleC},
			"  0x54, 0x68, 0x65, 0x20, 0x71, 0x75, 0x69, 0x63, 0x6b, 0x20, 0x62, 0x72, 0x6f, 0x77, 0x6e, 0x0a,\n" +
				"  0x00, 0x7e, 0xff,\n",
		},
	} {
		if got, _ := spoken(t,
			event.Dump{Off: 512, Data: data, Layout: tt.layout}); got != tt.want {
			t.Errorf("%+v:\n%s\nwant\n%s", tt.layout, got, tt.want)
		}
	}
}

// TestAddressWidth: offsets are as wide as that of the last line, from the first one on.
func TestAddressWidth(t *testing.T) {
	for _, style := range []event.DumpStyle{"", event.StyleXXD} {
		got, _ := spoken(t,
			event.Dump{Off: 1<<32 - 16, Data: make([]byte, 16), Layout: event.DumpLayout{Style: style}, End: 1<<32 + 16},
			event.Dump{
				Off: 1 << 32, Data: make([]byte, 16), Layout: event.DumpLayout{Style: style},
				End: 1<<32 + 16,
			})
		first, second, _ := strings.Cut(got, "\n")
		if !strings.HasPrefix(first, "0fffffff0:") || len(first)+1 != len(second) {
			t.Errorf("%q:\n%s", style, got)
		}
	}
}

// TestFold: however a dump is cut into events, and whether its zeroes are in memory or not, it
// looks the same.
func TestFold(t *testing.T) {
	data := make([]byte, 64<<10+5)
	copy(data[40:], "x")
	copy(data[160:], bytes.Repeat([]byte("0123456789abcdef"), 3))
	line := func(off int64, row string) string {
		return string(rowLayout{digits: 8}.append(nil, []byte(row), off))
	}
	zeroes := strings.Repeat("\x00", 16)
	want := line(0, zeroes) + "*\n" +
		line(32, "\x00\x00\x00\x00\x00\x00\x00\x00x\x00\x00\x00\x00\x00\x00\x00") +
		line(48, zeroes) + "*\n" +
		line(160, "0123456789abcdef") + "*\n" + line(208, zeroes) + "*\n" + line(64<<10, zeroes[:5])
	for _, cut := range []int{len(data), 16, 48, 208, 4096} {
		var events []event.Event
		for at := 0; at < len(data); at += cut {
			part := data[at:min(at+cut, len(data))]
			e := event.Dump{Off: int64(at), Data: part, Fold: true, Last: at+cut >= len(data)}
			if verify.IsZero(part) {
				e.Data, e.Zeroes = nil, int64(len(part))
			}
			events = append(events, e)
		}
		if got, _ := spoken(t, events...); got != want {
			t.Errorf("in pieces of %d:\n%s\nwant\n%s", cut, got, want)
		}
	}
	whole := event.Dump{Data: data[:208], Zeroes: 1 << 50, Fold: true, Last: true}
	if got, _ := spoken(t, whole); strings.Count(got, "\n") != 10 ||
		!strings.HasSuffix(got, line(1<<50+192, zeroes)) {
		t.Errorf("a pebibyte of zeroes:\n%s", got)
	}
	// Each dump begins with a line of its own.
	twice := event.Dump{Data: data[:16], Fold: true, Last: true}
	if got, _ := spoken(t, twice, twice); got != line(0, zeroes)+line(0, zeroes) {
		t.Errorf("twice:\n%s", got)
	}
}

func TestDataWords(t *testing.T) {
	r := event.Range{Off: 4096, Len: 1 << 20}
	damaged := make([]byte, 4096)
	verify.Byte(0xcd).Fill(damaged, 0)
	clear(damaged[512:1024])
	damaged[2049] ^= 4
	tests := []struct {
		e    event.Event
		want string
	}{
		{event.Zero{Range: r}, "1 MiB (1048576 bytes) at offset 4096 are zero\n"},
		{event.Zero{Range: event.Range{Off: 3, Len: 1}}, "1 byte at offset 3 is zero\n"},
		{
			event.NotZero{Op: "iszero", Range: r, Places: verify.Diff{Got: 7, List: []verify.DiffRange{{Off: 8192, Len: 1, Bad: 1}}, Count: 3, Bytes: 900}},
			"iszero: not zero at 8192 (0x2000)\n  it is 0x07; 900 bytes in 3 ranges\n  8192 (0x2000): 1 byte\n  and 2 ranges more; --all shows them\n",
		},
		{event.Verified{Range: r, As: "zero"}, "verified: 1 MiB (1048576 bytes) at offset 4096 read back as zeroes\n"},
		{event.Verified{Range: r, As: "trimmed", Stored: 512}, "verified: 1 MiB (1048576 bytes) at offset 4096 read back as zeroes, 512 bytes of them still have storage\n"},
		{event.Sum{Range: r, Algorithm: "crc32c", Sum: []byte{0, 0xab}}, "00ab  crc32c of 1 MiB (1048576 bytes) at offset 4096\n"},
		{event.Found{Off: 16}, "16 (0x10)\n"},
		{event.Searched{Range: r, Matches: 1, More: true}, "1 match, and perhaps more in 1 MiB (1048576 bytes) at offset 4096\n"},
		{event.NotFound{Range: r}, "not found in 1 MiB (1048576 bytes) at offset 4096\n"},
		{event.Same{Range: r, Name: "x"}, "the same: 1 MiB (1048576 bytes) at offset 4096\n"},
		{
			event.Different{Range: r, Name: "x", Places: verify.Diff{Want: 1, Got: 2, List: []verify.DiffRange{{Off: 8192, Len: 5, Bad: 5}}, Count: 1, Bytes: 5}},
			"different at 8192 (0x2000)\n  0x01 here, 0x02 in x; 5 bytes in 1 range\n  8192 (0x2000): 5 bytes\n",
		},
		{
			event.MapTotals{Range: r, Runs: 3, Data: 1 << 19, Hole: 1 << 19, Compressed: 512, Backing: 1024},
			"1 MiB (1048576 bytes) in 3 runs at offset 4096\n  data    512 KiB (524288 bytes), 50.00%\n  zeroes  0 bytes, 0.00%\n" +
				"  holes   512 KiB (524288 bytes), 50.00%\n  of the data 512 bytes are compressed\n  of the data 1 KiB (1024 bytes) are in images below\n",
		},
		{
			event.MapRun{Extent: blockdev.Extent{Off: 4096, Len: 4096, Allocated: true, Data: true, HostOff: 65536, Depth: 1}},
			"4096  4096         4 KiB  data                     1        65536\n",
		},
		{event.MapRun{Extent: blockdev.Extent{Off: 0, Len: 4096, Zero: true, HostOff: -1}}, "0  4096         4 KiB  hole                     0            -\n"},
		{
			event.Alloc{Count: 1024, Allocated: 1024, Data: 512, Zero: 512},
			"1024/1024 bytes allocated at offset 0\n  512 bytes with storage, 512 bytes known to be zero\n",
		},
		{
			event.Mismatch{Len: 4096, Detail: verify.Check(verify.Byte(0xcd), damaged, 0)},
			"Pattern verification failed at offset 0, 4096 bytes\n  first wrong byte at 512 (0x200); 513 of 4096 bytes wrong, in 2 ranges\n" +
				"  expected  00000200:  cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd  ................\n" +
				"  found     00000200:  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................\n" +
				"                       ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^\n" +
				"  expected  00000210:  cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd cd  ................\n" +
				"  found     00000210:  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................\n" +
				"                       ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^\n" +
				"  512 (0x200): 512 bytes, zeroes\n  2049 (0x801): 1 byte, bit 2 of the byte at 2049 is flipped\n",
		},
	}
	for _, tt := range tests {
		if got, errs := spoken(t, tt.e); got != tt.want || errs != "" {
			t.Errorf("%s:\n%s%s\nwant\n%s", tt.e.Kind(), got, errs, tt.want)
		}
		if line := jsonOf(t, event.Where{Line: 1}, tt.e); Validate([]byte(line[0])) != nil {
			t.Errorf("%s: %v", line[0], Validate([]byte(line[0])))
		}
	}
}

// TestBytesAreAlone: nothing but the bytes comes to stdout, also when something is wrong with them.
func TestBytesAreAlone(t *testing.T) {
	out, errs := spoken(t, event.Bytes{Data: []byte("ab"), Zeroes: 5000}, event.Mismatch{Len: 3})
	if out != "ab"+strings.Repeat("\x00", 5000) ||
		errs != "Pattern verification failed at offset 0, 3 bytes\n" {
		t.Errorf("%q, %q", out, errs)
	}
	_, errs = spoken(t,
		event.Interrupted{Op: "read", Range: event.Range{Off: 1024, Len: 4 << 30}, Done: 1 << 30})
	if want := "blksh: interrupted: read stopped at 1073742848, 1 GiB of 4 GiB done\n"; errs != want {
		t.Errorf("%q, want %q", errs, want)
	}
}
