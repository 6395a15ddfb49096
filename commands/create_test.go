package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCreateFormats: the format is that of the name, raw for a name that means none, and never raw
// for the name of another format.
func TestCreateFormats(t *testing.T) {
	for name, want := range map[string]string{
		"disk": "raw", "disk.img": "raw", "disk.raw": "raw", "disk.qcow2": "qcow2",
		"DISK.QCOW2": "qcow2", "disk.vmdk.bak": "raw",
		"disk.vdi": "vdi", "disk.vmdk": "", "disk.VMDK": "", "disk.vhd": "", "disk.vpc": "",
		"disk.vhdx": "", "disk.qed": "", "disk.qcow": "",
		"disk.hdd": "", "disk.parallels": "", "disk.dmg": "", "disk.cloop": "", "disk.bochs": "",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		for _, form := range []string{path, "file:" + path, "json:{'driver':'file','filename':'" +
			path + "'}"} {
			s := newShell(t, "native")
			said := s.dialogue(t, "create "+form+" 1M")
			_, err := os.Stat(path)
			switch {
			case want != "" && (!strings.Contains(said, ": "+want+",") || err != nil):
				t.Errorf("%s: %q, %v; want %s", form, said, err, want)
			case want == "" &&
				(!strings.Contains(said, "qcow2 or raw") || err == nil || s.Status() != 2):
				t.Errorf("%s: %q, status %d, %v; want a refusal", form, said, s.Status(), err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
		if want == "" {
			if said := newShell(t, "native").dialogue(t, "create -f raw "+path+
				" 1M"); !strings.HasPrefix(said, "created") {
				t.Errorf("-f raw %s: %q", path, said)
			}
		}
	}
}

// TestCreateStatus: what the caller can mend is a wrong use, what only the system can is not; each
// names the file once.
func TestCreateStatus(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, status := range map[string]int{
		"create -f vmdk %s 1M":                                      2,
		"create -f qcow2 -o cluster_size=3 %s 1M":                   2,
		"create -f qcow2 -o nothing=3 %s 1M":                        2,
		"create -f qcow2 -o preallocation=some %s 1M":               2,
		"create -f raw -o preallocation=metadata %s 1M":             2,
		"create -f qcow2 -o compat=0.10,extended_l2=on %s 1M":       2,
		"create -f qcow2 %s 9223372036854775807":                    2,
		"create -f raw %s 9223372036854775296":                      2,
		"create -f qcow2 -b " + there + " -F raw --force " + there:  2,
		"create " + there + " 1M":                                   2,
		"create --force " + dir + " 1M":                             2,
		"create " + filepath.Join(dir, "none", "new") + " 1M":       2,
		"create -f qcow2 -b none -F raw " + filepath.Join(dir, "x"): 2,
	} {
		s := newShell(t, "native")
		line = strings.ReplaceAll(line, "%s", filepath.Join(dir, "new"))
		said := s.dialogue(t, line)
		file := strings.Fields(line)[len(strings.Fields(line))-1]
		if s.Status() != status || strings.Count(said, "!") != 1 || strings.Count(said, file) > 1 {
			t.Errorf("%s: status %d, want %d: %q", line, s.Status(), status, said)
		}
	}
}

// TestCreateFails: an image that cannot be made leaves what was there as it was, and nothing new.
func TestCreateFails(t *testing.T) {
	const kept = "somebody's data"
	for _, call := range []string{
		"-f qcow2 -o cluster_size=3 %s 1M", "-f qcow2 -o nothing=1 %s 1M",
		"-f qcow2 -o compat=0.10,extended_l2=on %s 1M", "-f raw -o preallocation=metadata %s 1M",
		"-f qcow2 -b none -F raw %s", "-f qcow2 %s 9223372036854775807", "-f qcow2 %s 4E",
		"-f luks %s 1M", "-f vdi -o nothing=1 %s 1M", "%s.vmdk 1M", "-f qcow2 %s 1Mx",
	} {
		for _, force := range []string{"", "--force "} {
			dir := t.TempDir()
			name := filepath.Join(dir, "disk")
			if strings.Contains(call, ".vmdk") {
				name += ".vmdk"
			}
			want := 0
			if force != "" {
				want = 1
				if err := os.WriteFile(name, []byte(kept), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := newShell(t, "native")
			line := "create " + force +
				strings.ReplaceAll(call, "%s", strings.TrimSuffix(name, ".vmdk"))
			said := s.dialogue(t, line)
			list, err := os.ReadDir(dir)
			if err != nil || s.Status() == 0 || len(list) != want {
				t.Errorf("%s: status %d, %v, %v: %q", line, s.Status(), list, err, said)
			}
			if p, err := os.ReadFile(name); force != "" && (err != nil || string(p) != kept) {
				t.Errorf("%s: %.40q, %v", line, p, err)
			}
		}
	}
}

// TestCreateNames: what is wrong with a file of an image is said of that one, once.
func TestCreateNames(t *testing.T) {
	dir := t.TempDir()
	image, data := filepath.Join(dir, "image"), filepath.Join(dir, "none/data")
	for line, c := range map[string]struct {
		status int
		want   string
	}{
		"-o data_file=" + data + " " + image: {2, "create " + data + ": No such file or directory"},
		"--force -o data_file=/dev/null " + image: {
			5, "create /dev/null: an image can be made on a block device, which this is not",
		},
		"--force /dev/null": {
			5, "create /dev/null: an image can be made on a block device, which this is not",
		},
	} {
		s := newShell(t, "native")
		said := s.dialogue(t, "create -f qcow2 "+line+" 1M")
		if !strings.Contains(said, ": "+c.want+"\n") || s.Status() != c.status {
			t.Errorf("%s: status %d, %q, want %q", line, s.Status(), said, c.want)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestCharacterDevices are not opened for writing without -w either. (Without locks: other programs
// may have this one open.)
func TestCharacterDevices(t *testing.T) {
	s := newShell(t, "native")
	if said := s.dialogue(t, "open -f raw -o file.locking=off /dev/zero",
		"write -q 0 512"); !strings.Contains(said, "-w") {
		t.Errorf("%q", said)
	}
	s.dialogue(t, "close", "open -f raw -o file.locking=off -w /dev/zero")
	if im := s.Image(); im == nil || im.Dev.ReadOnly() {
		t.Errorf("with -w: %v", im)
	}
}
