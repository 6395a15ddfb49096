package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// sharedImage is an image of blocks, some of which are damaged: next to borders of shards and
// across them, and in the tail.
func sharedImage(t *testing.T, dir string) {
	t.Helper()
	a, err := asBlksh.run(run{dir: dir, args: []string{
		"-c", "create -f raw disk.img 11534848", // 11 MiB and 512 bytes
		"-c", "open -f raw -t writeback disk.img",
		"-c", "verify_write --generation 3 -b 8k --order random",
		"-c", "write -q -P 1 2093056 8k", "-c", "write -q -z 4190208 16k",
		"-c", "write -q -P 7 1M 1", "-c", "write -q --text needle 7340030",
		"-c", "write -q --text needle 10M",
	}})
	if err != nil || a.status != "exit 0" {
		t.Fatal(a, err)
	}
	other, err := os.ReadFile(filepath.Join(dir, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	other[5<<20-1] ^= 1
	other[5<<20] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "other.img"), other, 0o666); err != nil {
		t.Fatal(err)
	}
}

// objectOf is the last object of a kind.
func objectOf(t *testing.T, out string, kinds ...string) map[string]any {
	t.Helper()
	var found map[string]any
	for line := range strings.Lines(out) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, kind := range kinds {
			if o["kind"] == kind {
				found = o
			}
		}
	}
	if found == nil {
		t.Fatalf("nothing of %v in %s", kinds, out)
	}
	return found
}

// TestMerge: what shards said, added up, is what one run says, with its exit status, for any number
// of shards.
func TestMerge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sharedImage(t, dir)
	numbers := []int{2, 5}
	if blockdevtest.Thorough() {
		numbers = []int{1, 2, 3, 4, 5, 16}
	}
	for i, c := range []struct {
		line    string
		kinds   []string
		figures []string
	}{
		{"verify_read -b 8k", []string{"damaged"}, []string{"blocks", "checked", "bad", "bad_bytes", "classes"}},
		{"verify_read -b 8k -t crc32c --order random --exact", []string{"damaged"}, []string{"blocks", "checked", "bad", "bad_bytes", "classes"}},
		{"verify_read -b 8k 5M 2M", []string{"verdict", "damaged"}, []string{"blocks", "checked"}},
		{"sum --tree", []string{"sum"}, []string{"sum", "algorithm"}},
		{"sum --tree -a sha512 1000 9M", []string{"sum"}, []string{"sum", "algorithm"}},
		{"iszero", []string{"not_zero"}, []string{"bytes"}},
		{"compare -f raw other.img", []string{"different"}, []string{"bytes"}},
		{"compare -f raw disk.img", []string{"same"}, nil},
		{"find --text needle", []string{"searched"}, []string{"matches"}},
		{"find --text haystack", []string{"not_found"}, nil},
		{"find --hex 0000 --max 1000000 1000 2M", []string{"searched"}, []string{"matches"}},
		{"verify_write -b 12k", []string{"blocks_written"}, nil},
		{"verify_read", []string{"verdict"}, []string{"blocks", "checked"}},
		{"verify_write -t md5 -b 64k", []string{"blocks_written"}, nil},
	} {
		whole := asShard(t, dir, c.line, "")
		want := objectOf(t, whole.stdout, c.kinds...)
		for j, n := range numbers {
			if !blockdevtest.Sampled(i+j, 2) {
				continue
			}
			args := []string{"--json", "-c", "merge"}
			for k := range n {
				a := asShard(t, dir, c.line, fmt.Sprintf("%d/%d", k+1, n))
				name := fmt.Sprintf("%d.json", k)
				if err := os.WriteFile(filepath.Join(dir, name), []byte(a.stdout),
					0o666); err != nil {
					t.Fatal(err)
				}
				args[2] += " " + name
			}
			merged, err := asBlksh.run(run{dir: dir, args: args})
			if err != nil || merged.status != whole.status {
				t.Errorf("%s by %d: %s, not %s: %s, %v", c.line, n, merged.status, whole.status,
					merged.stdout, err)
				continue
			}
			checkObjects(t, merged)
			got := objectOf(t, merged.stdout, "merged", "merge_failed")
			if got["complete"] != true {
				t.Errorf("%s by %d: %s", c.line, n, merged.stdout)
			}
			for _, name := range c.figures {
				if !reflect.DeepEqual(got[name], want[name]) {
					t.Errorf("%s by %d: %s is %v, not %v", c.line, n, name, got[name], want[name])
				}
			}
		}
	}
}

// asShard runs a line on the image, as a shard if one is named.
func asShard(t *testing.T, dir, line, shard string) answer {
	t.Helper()
	if shard != "" {
		line += " --shard " + shard
	}
	a, err := asBlksh.run(
		run{
			dir:  dir,
			args: []string{"--json", "-t", "writeback", "-f", "raw", "-c", line, "disk.img"},
		})
	if err != nil {
		t.Fatal(err)
	}
	checkObjects(t, a)
	return a
}

// TestShardWrites: two runs, in any order, make the file that one makes, with a copy too.
func TestShardWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const write = "verify_write --generation 1 -b 4k-64k --order random"
	script := []string{
		"-c", "create -f raw one.img 3145900", "-c", "create -f raw many.img 3145900",
		"-c", "create -f raw copy.img 3145900",
		"-c", "open -f raw -t writeback one.img", "-c", write, "-c", "close",
		"-c", "open -f raw -t writeback many.img",
	}
	for _, k := range []int{3, 1, 4, 2} {
		script = append(script, "-c", fmt.Sprintf("%s --shard %d/4", write, k))
	}
	for _, k := range []int{2, 3, 1} {
		script = append(script, "-c",
			fmt.Sprintf("copy -n -f raw --verify --shard %d/3 copy.img", k))
	}
	a, err := asBlksh.run(run{dir: dir, args: script})
	if err != nil || a.status != "exit 0" {
		t.Fatal(a, err)
	}
	want, err := os.ReadFile(filepath.Join(dir, "one.img"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"many.img", "copy.img"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil ||
			string(got) != string(want) {
			t.Errorf("%s is not what one run writes: %v", name, err)
		}
	}
}

// TestShardsAtOnce has shards write one file at the same time, whose locks are left alone, and each
// with a journal and a state of its own.
func TestShardsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const job = "[a]\nrw=randwrite\nbs=4k\nsize=3m\nverify=crc32c\niodepth=8\n"
	for name, text := range map[string]string{
		"a.fio":    job,
		"disk.img": strings.Repeat("x", 3<<20),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"verify_job --write --shard %[1]d/3 a.fio",
		"verify_write --order random -b 8k --journal journal.%[1]d --shard %[1]d/3",
	} {
		var shards sync.WaitGroup
		for k := 1; k <= 3; k++ {
			shards.Go(func() {
				a, err := asBlksh.run(run{dir: dir, args: []string{
					"-t", "writeback", "-c", fmt.Sprintf(line, k),
					"--image-opts", "driver=raw,file.filename=disk.img,file.locking=off",
				}})
				if err != nil || a.status != "exit 0" {
					t.Errorf("%+v, %v", a, err)
				}
			})
		}
		shards.Wait()
	}
	a, err := asBlksh.run(run{dir: dir, args: []string{
		"-r", "-f", "raw", "disk.img", "-c", "verify_read",
		"-c", "verify_read -t crc32c --exact --order random -b 8k",
		"-c", "verify_read --journal journal.1", "-c", "verify_read --journal journal.2",
		"-c", "verify_read --journal journal.3",
	}})
	if err != nil || a.status != "exit 0" {
		t.Errorf("%+v, %v", a, err)
	}
	states, err := filepath.Glob(filepath.Join(dir, "local-a-0-verify.state*"))
	if err != nil || len(states) != 3 || !strings.HasSuffix(states[2], ".shard-3-of-3") {
		t.Errorf("states %v, %v", states, err)
	}
}

// TestShardKilled: the file of a shard that was killed says which one it was. It is run again, and
// the file of the first attempt does no harm.
func TestShardKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if a, err := asBlksh.run(
		run{dir: dir, args: []string{"-c", "create -f raw disk.img 12M"}}); err != nil ||
		a.status != "exit 0" {
		t.Fatal(a, err)
	}
	const slow = `json:{"driver":"null-co","size":12582912,"latency-ns":50000000}`
	cmd := exec.CommandContext(t.Context(), asBlksh.path, "--json", "-c",
		"verify_write --shard 2/3", slow)
	cmd.Env, cmd.Dir = asBlksh.environ(), dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), `{"kind":"shard"`) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	save := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	save("2.json", said+`{"kind":"blocks_wri`) // what was being written is cut off
	save("1.json", asShard(t, dir, "verify_write", "1/3").stdout)
	save("3.json", asShard(t, dir, "verify_write", "3/3").stdout)
	a, err := asBlksh.run(run{dir: dir, args: []string{"-c", "merge 1.json 2.json 3.json"}})
	const want = "shard 2 is missing: 4 MiB (4194304 bytes) at offset 4194304: 2.json: " +
		"it ends without an exit status"
	if err != nil || a.status != "exit 1" || !strings.Contains(a.stdout, want) {
		t.Errorf("%+v, %v", a, err)
	}
	save("again.json", asShard(t, dir, "verify_write", "2/3").stdout)
	a, err = asBlksh.run(run{dir: dir, args: []string{
		"-c", "merge 1.json 2.json 3.json again.json",
		"-c", "open -r -f raw disk.img", "-c", "verify_read",
	}})
	if err != nil || a.status != "exit 0" || !strings.Contains(a.stdout, "complete") {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestShardEnvironment: a scheduler says which part it is, and the part says so.
func TestShardEnvironment(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	for _, c := range []struct {
		word string
		env  []string
		want string
	}{
		{"slurm", []string{"SLURM_ARRAY_TASK_ID=7", "SLURM_ARRAY_TASK_COUNT=4", "SLURM_ARRAY_TASK_MIN=5", "SLURM_ARRAY_TASK_MAX=8"}, "shard 3 of 4 (SLURM_ARRAY_TASK_ID=7): "},
		{"env", []string{"SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_COUNT=4", "SLURM_ARRAY_TASK_MIN=0", "SLURM_ARRAY_TASK_MAX=3"}, "shard 1 of 4 (SLURM_ARRAY_TASK_ID=0): "},
		{"k8s", []string{"JOB_COMPLETION_INDEX=3", "JOB_COMPLETIONS=4"}, "shard 4 of 4 (JOB_COMPLETION_INDEX=3): "},
	} {
		a, err := asBlksh.run(run{
			dir: dir, env: c.env,
			args: []string{"-r", "-f", "raw", "-c", "sum 0..1M --shard " + c.word, "raw.img"},
		})
		if err != nil || a.status != "exit 0" || !strings.HasPrefix(a.stdout, c.want) {
			t.Errorf("%s: %+v, %v", c.word, a, err)
		}
	}
}
