package args

import (
	"io"
	"os"
)

// ReadFile reads at most limit bytes of a file that a word names, such as the one of a pattern.
func ReadFile(name string, limit int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}
