package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// changingInside are the commands that change more of an image than the guest's data, and images
// that have more than one file or a key.
var changingInside = []struct {
	name, options string // of the image
	opening       string
	lines         string
}{
	{"snapshot create", "", "", "snapshot create s; write -P 1 4M 64k"},
	{"snapshot apply", "", "", "snapshot create s; write -q -P 1 0 64k; snapshot apply s"},
	{"snapshot delete", "", "", "snapshot create s; write -q -P 1 4M 64k; snapshot delete s"},
	{"bitmaps", "", "", "bitmap add b; write -q -P 1 0 64k; bitmap add c; bitmap merge b c; close"},
	{"bitmaps removed", "", "", "bitmap add b; write -q -P 1 0 64k; bitmap clear b; bitmap disable b; " +
		"bitmap remove b; close"},
	{"bitmaps and length", "", "", "bitmap add b; truncate 9M; close"},
	{"amend refcount_bits", "", "", "amend -o refcount_bits=64"},
	{"amend compat", "", "", "amend -o compat=0.10"},
	{"amend lazy_refcounts", "", "", "amend -o lazy_refcounts=on"},
	{"data file, write", dataFile, "", "write -P 1 0 64k; write -P 1 4M 4k"},
	{"data file, write -z", dataFile, "", "write -z 4M 128k"},
	{"data file, discard", dataFile, "", "discard 4M 256k"},
	{"data file, truncate", dataFile, "", "truncate 9M"},
	{"raw data file, write -z", rawDataFile, "", "write -z 4M 128k"},
	{"raw data file, truncate", rawDataFile, "", "truncate 9M"},
	{"encrypted, write", encryptedFile, keyed, "write -P 1 0 5000; write -P 1 4M 64k"},
	{"encrypted, luks add", encryptedFile, keyed, "luks add -s b -t 1"},
	{"encrypted, luks remove", encryptedFile, keyed, "luks add -s b -t 1; luks remove -s b"},
	{
		"encrypted, amend", encryptedFile, keyed,
		"amend -o lazy_refcounts=on,encrypt.state=active,encrypt.new-secret=b,encrypt.iter-time=1",
	},
}

const (
	dataFile      = "data_file=IMAGE.data,"
	rawDataFile   = "data_file=IMAGE.data,data_file_raw=on,"
	encryptedFile = "encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=1,"
	keyed         = ",encrypt.key-secret=a"
)

// TestFaultsInside is TestFaults for changingInside.
func TestFaultsInside(t *testing.T) {
	errs := []error{syscall.EIO, syscall.ENOSPC, blockdevtest.Torn(512, syscall.EIO)}
	image := filepath.Join(t.TempDir(), "image")
	runs := 0
	for i, c := range changingInside {
		options := strings.ReplaceAll(c.options, "IMAGE", image) + "cluster_size=16k"
		pristine := [][]byte{contentsOf(t, faultImage(t, image, options))}
		data := ""
		if strings.Contains(options, "data_file") {
			data = image + ".data"
			pristine = append(pristine, contentsOf(t, data))
		}
		for j, cache := range []string{"writeback", "writethrough"} {
			for k, injected := range errs {
				for stays := range 2 {
					if !blockdevtest.Sampled(i+j+k+stays, 6) {
						continue
					}
					f := faultCase{
						name: c.name, options: options, lines: c.lines, cache: cache,
						opening: c.opening, data: data, reads: k == 0 && stays == 0,
					}
					if f.reads {
						runs += f.everywhere(t, image, pristine, injected, false)
						f.reads = false
					}
					runs += f.everywhere(t, image, pristine, injected, stays > 0)
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

func contentsOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
