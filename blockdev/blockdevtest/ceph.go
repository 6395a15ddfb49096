package blockdevtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Ceph is a cluster of one monitor and one store, which keeps everything in memory, on this machine
// and for one test. It asks for keys, as real ones do. Its pool is called rbd.
type Ceph struct {
	Conf string // its configuration file, which names the key of client.admin
	dir  string
}

// cephConf wants the folder and the port of the monitor.
const cephConf = `[global]
fsid = 7f5c0b3e-8a53-4a6e-9d0f-6c1f0a5f7d11
mon host = v2:127.0.0.1:%[2]d
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
keyring = %[1]s/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
osd crush chooseleaf type = 0
run dir = %[1]s
admin socket = %[1]s/$name.$pid.asok
log file = %[1]s/$name.log
crash dir = %[1]s
[mon]
mon data = %[1]s/mon
mon initial members = a
mon data avail crit = 1
[osd]
osd data = %[1]s/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd memory target = 939524096
`

// cephStore is the number that the store has in the cluster.
const cephStore = "0c2d7a52-6b0f-4f0e-8d38-0a8d2b6ff1c4"

// StartCeph starts a cluster. That takes ten seconds and some hundred megabytes, so it is no part
// of tier 1.
func StartCeph(t testing.TB) *Ceph {
	t.Helper()
	for _, p := range []struct{ program, pkg string }{
		{"ceph-mon", "ceph-mon"}, {"ceph-osd", "ceph-osd"}, {"rbd", "ceph-common"},
	} {
		Extra(t, p.program, p.pkg)
	}
	if Tier() < 2 {
		t.Skip("starts a Ceph cluster, which tier 2 does")
	}
	dir := t.TempDir()
	c := &Ceph{Conf: filepath.Join(dir, "ceph.conf"), dir: dir}
	port := FreePort(t)
	conf := fmt.Sprintf(cephConf, dir, port)
	must(t, os.WriteFile(c.Conf, []byte(conf), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "osd"), 0o700))
	ring, monmap := filepath.Join(dir, "keyring"), filepath.Join(dir, "monmap")
	all := []string{"--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"}
	for _, name := range []string{"mon.", "client.admin", "osd.0"} {
		args := []string{ring, "--gen-key", "-n", name}
		if name == "mon." {
			args = append([]string{"--create-keyring"}, args...)
		}
		c.Run(t, "ceph-authtool", append(args, all...)...)
	}
	c.Run(t, "monmaptool", "--create", "--fsid", "7f5c0b3e-8a53-4a6e-9d0f-6c1f0a5f7d11",
		"--addv", "a", fmt.Sprintf("v2:127.0.0.1:%d", port), monmap)
	c.Run(t, "ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", ring)
	Background(t, port, "ceph-mon", "-f", "-i", "a", "--conf", c.Conf)
	c.Run(t, "ceph", "osd", "new", cephStore)
	c.Run(t, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", cephStore)
	Background(t, 0, "ceph-osd", "-f", "-i", "0", "--conf", c.Conf)
	c.Run(t, "ceph", "osd", "pool", "create", "rbd", "8", "8")
	c.Run(t, "rbd", "pool", "init", "rbd")
	return c
}

// Run runs a program with the cluster's configuration and returns what it prints. It has two
// minutes: Ceph's own wait for ever for a cluster that is not there.
func (c *Ceph) Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(Extra(t, program, "ceph-common"), args...)
	cmd.Env = append(os.Environ(), "CEPH_CONF="+c.Conf)
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = exit.Stderr
		}
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Image makes an image in the pool rbd and returns its name as blksh has it.
func (c *Ceph) Image(t testing.TB, name string, size int64) string {
	t.Helper()
	c.Run(t, "rbd", "create", "--size", fmt.Sprintf("%dB", size), "rbd/"+name)
	return "rbd:rbd/" + name + ":conf=" + c.Conf
}
