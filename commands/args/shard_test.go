package args

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseShard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		word, env string
		want      Shard
		err       string
	}{
		{word: "1/1", want: Shard{K: 1, N: 1}},
		{word: "3/8", want: Shard{K: 3, N: 8}},
		{word: "0/8", err: "there is no part 0 of 8: they are numbered from 1 to 8"},
		{word: "9/8", err: "there is no part 9 of 8"},
		{word: "1/0", err: "0 parts are not within 1 and"},
		{word: "-1/-1", err: "-1 parts are not within"},
		{word: "1/1048577", err: "1048577 parts are not within 1 and 1048576"},
		{word: "3", err: "'3' is no part; write K/N, as in 1/4"},
		{word: "", err: "'' is no part"},
		{word: "a/4", err: "'a' is no whole number"},
		{word: "1/4/4", err: "'4/4' is no whole number"},
		{word: "1/9999999999999999999", err: "is no whole number"},

		{word: "slurm", err: "SLURM_ARRAY_TASK_ID is not set; it is in a job array"},
		{word: "slurm", env: "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=4", err: "SLURM_ARRAY_TASK_MIN is not set"},
		{
			word: "slurm", env: "SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0",
			want: Shard{K: 1, N: 4, Source: "SLURM_ARRAY_TASK_ID=0"},
		},
		{
			word: "slurm", env: "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4",
			want: Shard{K: 4, N: 4, Source: "SLURM_ARRAY_TASK_ID=4"},
		},
		{
			word: "slurm", env: "SLURM_ARRAY_TASK_ID=20 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_MAX=30",
			want: Shard{K: 2, N: 3, Source: "SLURM_ARRAY_TASK_ID=20"},
		},
		{
			word: "slurm", env: "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4",
			err: "the 3 indices of the array from 1 to 4 have no equal steps; write K/N",
		},
		{
			word: "slurm", env: "SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=7",
			err: "SLURM_ARRAY_TASK_ID=2 is none of 4 indices from 1 on with a step of 2",
		},
		{word: "slurm", env: "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0", err: "SLURM_ARRAY_TASK_ID=7 with SLURM_ARRAY_TASK_COUNT=4: there is no part 8 of 4"},
		{word: "slurm", env: "SLURM_ARRAY_TASK_ID=x SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0", err: "SLURM_ARRAY_TASK_ID: 'x' is no whole number"},

		{word: "k8s", err: "JOB_COMPLETION_INDEX is not set; Kubernetes sets it in a Job with completionMode: Indexed"},
		{word: "k8s", env: "JOB_COMPLETION_INDEX=0", err: "JOB_COMPLETIONS is not set; Kubernetes does not tell it"},
		{
			word: "k8s", env: "JOB_COMPLETION_INDEX=0 JOB_COMPLETIONS=4",
			want: Shard{K: 1, N: 4, Source: "JOB_COMPLETION_INDEX=0"},
		},
		{word: "k8s", env: "JOB_COMPLETION_INDEX=4 JOB_COMPLETIONS=4", err: "JOB_COMPLETION_INDEX=4 is not within 0 and JOB_COMPLETIONS-1, which is 3"},

		{word: "env", err: "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; write K/N"},
		{
			word: "env", env: "JOB_COMPLETION_INDEX=1 JOB_COMPLETIONS=2",
			want: Shard{K: 2, N: 2, Source: "JOB_COMPLETION_INDEX=1"},
		},
		{
			word: "env", env: "SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_MIN=0",
			want: Shard{K: 1, N: 1, Source: "SLURM_ARRAY_TASK_ID=0"},
		},
		{word: "env", env: "SLURM_ARRAY_TASK_ID=0 JOB_COMPLETION_INDEX=1", err: "both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are set"},
	} {
		got, err := ParseShard(test.word, func(name string) (string, bool) {
			for _, v := range strings.Fields(test.env) {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value, true
				}
			}
			return "", false
		})
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s with %s: %v, not %s", test.word, test.env, err, test.err)
			}
		case err != nil || got != test.want:
			t.Errorf("%s with %s: %+v, %v, not %+v", test.word, test.env, got, err, test.want)
		}
	}
}

func TestShardParts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n, block, shards int64
		want             []int64 // where parts end
	}{
		{n: 8, block: 1, shards: 4, want: []int64{2, 4, 6, 8}},
		{n: 7, block: 1, shards: 3, want: []int64{2, 4, 7}},
		{n: 23, block: 10, shards: 2, want: []int64{10, 23}},
		{n: 23, block: 10, shards: 4, want: []int64{0, 10, 10, 23}},
		{n: 7, block: 10, shards: 2, want: []int64{0, 7}},
		{n: 0, block: 10, shards: 3, want: []int64{0, 0, 0}},
		{n: math.MaxInt64, block: 1, shards: 2, want: []int64{math.MaxInt64 / 2, math.MaxInt64}},
	} {
		for i, want := range test.want {
			if _, to := (Shard{K: int64(i) + 1, N: test.shards}).Part(test.n,
				test.block); to != want {
				t.Errorf("part %d of %d of %d bytes by %d ends at %d, not %d", i+1, test.shards,
					test.n, test.block, to, want)
			}
		}
	}
}

// TestShardPartsFit: parts are disjoint, cover everything, are cut between blocks and are of one
// length but for a block and the tail, whatever the range.
func TestShardPartsFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		block := rapid.Int64Range(1, 1<<40).Draw(t, "block")
		shards := rapid.Int64Range(1, 200).Draw(t, "shards")
		at, shortest, longest := int64(0), int64(math.MaxInt64), int64(0)
		for k := int64(1); k <= shards; k++ {
			from, to := Shard{K: k, N: shards}.Part(n, block)
			if from != at || to < from || to > n {
				t.Fatalf("part %d is %d to %d behind %d", k, from, to, at)
			}
			if from%block != 0 && from != n {
				t.Fatalf("part %d begins at %d, within a block", k, from)
			}
			shortest, longest = min(shortest, (to-from)/block), max(longest, (to-from)/block)
			at = to
		}
		if at != n {
			t.Fatalf("parts end at %d", at)
		}
		if longest-shortest > 1 {
			t.Fatalf("parts of %d and of %d blocks", shortest, longest)
		}
	})
}

// FuzzParseShard reads any word in any environment. A shard that is there is one of those whose
// parts make up the whole.
func FuzzParseShard(f *testing.F) {
	f.Add("3/4", "", "", "", "")
	f.Add("slurm", "20", "4", "0", "30")
	f.Add("slurm", "9223372036854775807", "2", "-9223372036854775808", "9223372036854775807")
	f.Add("k8s", "3", "4", "", "")
	f.Add("env", "0", "1", "0", "0")
	f.Fuzz(func(t *testing.T, word, index, count, least, most string) {
		env := map[string]string{slurmID: index, slurmCount: count, slurmMin: least, slurmMax: most}
		if word == "k8s" {
			env = map[string]string{kubeIndex: index, kubeCount: count}
		}
		s, err := ParseShard(word, func(name string) (string, bool) {
			value, set := env[name]
			return value, set && value != ""
		})
		if err != nil {
			return
		}
		if s.K < 1 || s.K > s.N {
			t.Fatalf("%q, %q: %+v", word, env, s)
		}
		from, to := s.Part(1<<50+7, 512)
		if first, _ := (Shard{K: 1, N: s.N}).Part(1<<50+7, 512); first != 0 || from > to ||
			to > 1<<50+7 {
			t.Errorf("%+v has the bytes from %d up to %d", s, from, to)
		}
	})
}
