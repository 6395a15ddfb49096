package whirlpool

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// TestVectors are those of ISO/IEC 10118-3, as the authors publish them with the hash.
func TestVectors(t *testing.T) {
	for message, want := range map[string]string{
		"": "19fa61d75522a4669b44e39c1d2e1726c530232130d407f89afee0964997f7a7" +
			"3e83be698b288febcf88e3e03c4f0757ea8964e59b63d93708b138cc42a66eb3",
		"a": "8aca2602792aec6f11a67206531fb7d7f0dff59413145e6973c45001d0087b42" +
			"d11bc645413aeff63a42391a39145a591a92200d560195e53b478584fdae231a",
		"abc": "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c" +
			"7181eebdb6c57e277d0e34957114cbd6c797fc9d95d8b582d225292076d4eef5",
		"message digest": "378c84a4126e2dc6e56dcc7458377aac838d00032230f53ce1f5700c0ffb4d3b" +
			"8421557659ef55c106b4b52ac5a4aaa692ed920052838f3362e86dbd37a8903e",
		"abcdefghijklmnopqrstuvwxyz": "" +
			"f1d754662636ffe92c82ebb9212a484a8d38631ead4238f5442ee13b8054e41b" +
			"08bf2a9251c30b6a0b8aae86177ab4a6f68f673e7207865d5d9819a3dba4eb3b",
		strings.Repeat("1234567890",
			8): "466ef18babb0154d25b9d38a6414f5c08784372bccb204d6549c4afadb601429" +
			"4d5bd8df2a6c44e538cd047b2681a51a2c60481e88c5a20b2c2a80cf3a9a083b",
		strings.Repeat("a",
			1e6): "0c99005beb57eff50a7cf005560ddf5d29057fd86b20bfd62deca0f1ccea4af5" +
			"1fc15490eddc47af32bb2b66c34ff9ad8c6008ad677f77126953b226e4ed8b01",
	} {
		h := New()
		h.Write([]byte(message))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%.20q (%d bytes): %s, want %s", message, len(message), got, want)
		}
	}
}

// TestPieces writes messages of each length around a block in two pieces; asking for the sum
// in between changes nothing.
func TestPieces(t *testing.T) {
	message := []byte(strings.Repeat("0123456789abcdef", 12))
	for n := range len(message) {
		whole, pieces := New(), New()
		whole.Write(message[:n])
		pieces.Write(message[:n/3])
		pieces.Sum(nil)
		pieces.Write(message[n/3 : n])
		if !bytes.Equal(whole.Sum(nil), pieces.Sum(nil)) {
			t.Errorf("%d bytes in two pieces have another hash", n)
		}
		pieces.Reset()
		pieces.Write(message[:n])
		if !bytes.Equal(whole.Sum(nil), pieces.Sum(nil)) {
			t.Errorf("%d bytes after a reset have another hash", n)
		}
	}
}
