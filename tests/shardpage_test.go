package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

const shardsPage = pagesFolder + "shards.md"

// printedFile is a file that a page shows, by its name.
func printedFile(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- "+name+":begin -->\n\n```")
	file, _, ended := strings.Cut(rest, "\n```\n\n<!-- "+name+":end -->")
	_, file, lined := strings.Cut(file, "\n")
	if !found || !ended || !lined {
		t.Fatalf("%s does not show %s", page, name)
	}
	return file + "\n"
}

// sharedRun is what the examples of the page are about: an image, and what one run says of it.
func sharedRun(t *testing.T, dir string) (whole answer) {
	t.Helper()
	sharedImage(t, dir)
	a, err := asBlksh.run(run{dir: dir, args: []string{
		"--json", "--keep-going", "-r", "-f", "raw", "-c", "verify_read", "-c", "sum --tree",
		"disk.img",
	}})
	if err != nil || a.status != "exit 1" {
		t.Fatal(a, err)
	}
	return a
}

// asWhole wants the files of shards to add up to what one run says.
func asWhole(t *testing.T, dir string, whole answer) {
	t.Helper()
	said, err := inShell(dir, "blksh --json -c 'merge 1.json 2.json 3.json 4.json'")
	if code := exitCode(err); code != 1 {
		t.Errorf("merge: status %d, %s", code, said)
	}
	for _, kinds := range [][3]string{
		{"merge_failed", "damaged", "bad"},
		{"merged", "sum", "sum"},
	} {
		got, want := objectOf(t, said, kinds[0]), objectOf(t, whole.stdout, kinds[1])
		if got["complete"] != true || got[kinds[2]] != want[kinds[2]] {
			t.Errorf("%v, and one run says %v", got, want)
		}
	}
}

func exitCode(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}

// TestArrayScript runs the script of the page with the environment of each task of an array.
func TestArrayScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := sharedRun(t, dir)
	script := filepath.Join(dir, "shards.sbatch")
	if err := os.WriteFile(script, []byte(printedFile(t, shardsPage, "shards.sbatch")),
		0o666); err != nil {
		t.Fatal(err)
	}
	for task := 1; task <= 4; task++ {
		if said, err := inShell(dir, fmt.Sprintf("SLURM_ARRAY_TASK_ID=%d SLURM_ARRAY_TASK_COUNT=4 "+
			"SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4 bash shards.sbatch disk.img", task)); exitCode(err) > 1 {
			t.Errorf("task %d: %s, %v", task, said, err)
		}
	}
	asWhole(t, dir, whole)
	if err := os.Remove(filepath.Join(dir, "3.json")); err != nil {
		t.Fatal(err)
	}
	if said, err := inShell(dir,
		"SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_MIN=3 "+
			"bash shards.sbatch disk.img 3/4"); exitCode(err) > 1 {
		t.Errorf("%s, %v", said, err)
	}
	asWhole(t, dir, whole)
}

// TestTreeVectors has the program make the sums that the page prints.
func TestTreeVectors(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(shardsPage)
	if err != nil {
		t.Fatal(err)
	}
	for content, make := range map[string]string{
		"nothing":          ": > f",
		"`abc` (3 bytes)":  "printf abc > f",
		"65536 zeroes":     "truncate -s 65536 f",
		"65537 zeroes":     "truncate -s 65537 f",
		"196608 times `a`": "head -c 196608 /dev/zero | tr '\\0' a > f",
		"1 MiB of zeroes":  "head -c 1048576 /dev/zero > f",
		"1 TiB of zeroes":  "truncate -s 1T f",
	} {
		_, row, found := strings.Cut(string(page), "| "+content+" | `")
		want, _, ended := strings.Cut(row, "`")
		if !found || !ended {
			t.Errorf("the page has no sum of %s", content)
			continue
		}
		said, err := inShell(t.TempDir(), make+"; blksh -r -f raw f 'sum' --tree")
		if got, _, _ := strings.Cut(said, " "); err != nil || got != want {
			t.Errorf("%s: %s, %v, not %s", content, said, err, want)
		}
	}
}

// An indexedJob is what a pod is made from.
type indexedJob struct {
	APIVersion, Kind string
	Spec             struct {
		CompletionMode string
		Completions    int
		Template       struct {
			Spec struct {
				RestartPolicy string
				Containers    []struct {
					Command       []string
					Env           []struct{ Name, Value string }
					VolumeDevices []struct{ Name, DevicePath string }
					VolumeMounts  []struct{ Name, MountPath string }
				}
				Volumes []struct{ Name string }
			}
		}
	}
}

// TestIndexedJob reads the job of the page as YAML, and runs the command of its container with the
// environment of each pod.
func TestIndexedJob(t *testing.T) {
	t.Parallel()
	python := blockdevtest.Python(t, "yaml", "python3-yaml")
	read := exec.Command(python, "-c",
		"import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)")
	read.Stdin = strings.NewReader(printedFile(t, shardsPage, "job.yaml"))
	text, err := read.Output()
	if err != nil {
		t.Fatal(err)
	}
	var job indexedJob
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	if job.APIVersion != "batch/v1" || job.Kind != "Job" || job.Spec.CompletionMode != "Indexed" ||
		job.Spec.Completions != 4 || pod.RestartPolicy != "Never" || len(pod.Containers) != 1 {
		t.Fatalf("%+v", job)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
	}
	c := pod.Containers[0]
	if !volumes[c.VolumeDevices[0].Name] || !volumes[c.VolumeMounts[0].Name] {
		t.Errorf("%+v, of which the container wants others", pod.Volumes)
	}
	dir := t.TempDir()
	whole := sharedRun(t, dir)
	// Paths of the container are places of this test.
	here := strings.NewReplacer(c.VolumeDevices[0].DevicePath, filepath.Join(dir, "disk.img"),
		c.VolumeMounts[0].MountPath, dir)
	for index := range job.Spec.Completions {
		cmd := exec.Command(c.Command[0], c.Command[1:]...)
		cmd.Env = append(asBlksh.environ(),
			"PATH="+filepath.Dir(asBlksh.path)+":"+os.Getenv("PATH"),
			fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index))
		for _, v := range c.Env {
			cmd.Env = append(cmd.Env, v.Name+"="+here.Replace(v.Value))
		}
		if said, err := cmd.CombinedOutput(); exitCode(err) > 1 {
			t.Errorf("pod %d: %s, %v", index, said, err)
		}
		from := filepath.Join(dir, fmt.Sprintf("%d.json", index))
		if err := os.Rename(from,
			filepath.Join(dir, fmt.Sprintf("_%d.json", index+1))); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := inShell(dir, "for k in 1 2 3 4; do mv _$k.json $k.json; done"); err != nil {
		t.Fatal(said, err)
	}
	asWhole(t, dir, whole)
}

// TestSlurm runs the script of the page on a Slurm of four nodes, on a file and on an image of
// Ceph.
func TestSlurm(t *testing.T) {
	if blockdevtest.Tier() < 3 {
		t.Skip("takes a minute, which tier 3 has")
	}
	bin := t.TempDir()
	p := program{path: filepath.Join(bin, "blksh")}
	build := exec.Command("go", "build", "-o", p.path, "../cmd/blksh")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	must(t, build)
	must(t, exec.Command("../.ci/slurm", p.path))
	t.Run("ceph", func(t *testing.T) {
		blockdevtest.Peer(t, "qemu-nbd", "qemu-utils")
		ceph := blockdevtest.StartCeph(t)
		image := ceph.Image(t, "shared", cephSize)
		cephJob{p, ceph}.expect(t, "exit 0", image, "verify_write -b 64k", "write -q -z 20M 64k")
		must(t, exec.Command("../.ci/slurm", p.path, image))
	})
}
