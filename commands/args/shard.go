package args

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Shard is one of the parts that a range is cut into, so that several runs on as many machines do
// all of it together. The zero value is all of the range.
type Shard struct {
	K, N int64 // part K of N, from 1
	// Source is the variable of the environment that says K, with its value; "" if K was typed.
	Source string
}

// ShardValue is the value of a flag that takes a shard.
var ShardValue = Value{Name: "K/N", Type: TypeEnum, Words: shardSources, More: true}

// maxShards bounds N.
const maxShards = 1 << 20

// shardSources are the words that stand for what a scheduler has put into the environment.
func shardSources() []string { return []string{"slurm", "k8s", "env"} }

// Variables in which schedulers say which part of a job a process is.
const (
	slurmID    = "SLURM_ARRAY_TASK_ID"
	slurmCount = "SLURM_ARRAY_TASK_COUNT"
	slurmMin   = "SLURM_ARRAY_TASK_MIN"
	slurmMax   = "SLURM_ARRAY_TASK_MAX"
	kubeIndex  = "JOB_COMPLETION_INDEX"
	kubeCount  = "JOB_COMPLETIONS"
)

// ParseShard reads K/N, or takes both from the environment: that of a Slurm job array (slurm), of
// an Indexed Job of Kubernetes (k8s), or of whichever of the two is there (env).
func ParseShard(word string, getenv func(string) (string, bool)) (Shard, error) {
	e := shardEnv(getenv)
	switch word {
	case "slurm":
		return e.slurm()
	case "k8s":
		return e.kubernetes()
	case "env":
		_, inSlurm := getenv(slurmID)
		_, inKube := getenv(kubeIndex)
		switch {
		case inSlurm && inKube:
			return Shard{}, fmt.Errorf("both %s and %s are set; write slurm, k8s or K/N", slurmID,
				kubeIndex)
		case inKube:
			return e.kubernetes()
		case inSlurm:
			return e.slurm()
		}
		return Shard{}, fmt.Errorf("neither %s nor %s is set; write K/N, as in 1/4", slurmID,
			kubeIndex)
	}
	k, n, found := strings.Cut(word, "/")
	if !found {
		return Shard{}, fmt.Errorf(
			"'%s' is no part; write K/N, as in 1/4 for the first of four, or slurm, k8s or env",
			word)
	}
	var s Shard
	var err error
	if s.K, err = shardNumber(k); err != nil {
		return Shard{}, err
	}
	if s.N, err = shardNumber(n); err != nil {
		return Shard{}, err
	}
	return s, s.check()
}

func shardNumber(word string) (int64, error) {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("'%s' is no whole number", word)
	}
	return n, nil
}

// check refuses parts that are not there.
func (s Shard) check() error {
	switch {
	case s.N < 1 || s.N > maxShards:
		return fmt.Errorf("%d parts are not within 1 and %d", s.N, maxShards)
	case s.K < 1 || s.K > s.N:
		return fmt.Errorf("there is no part %d of %d: they are numbered from 1 to %d", s.K, s.N,
			s.N)
	}
	return nil
}

// checkOf is check for a part that variables of the environment say, of which count says how many
// there are.
func (s Shard) checkOf(count string) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("%s with %s=%d: %w", s.Source, count, s.N, err)
	}
	return nil
}

// shardEnv looks up variables of the environment.
type shardEnv func(string) (string, bool)

func (e shardEnv) number(name, help string) (int64, error) {
	word, ok := e(name)
	if !ok {
		return 0, fmt.Errorf("%s is not set; %s", name, help)
	}
	n, err := shardNumber(word)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

// slurm is the task of a job array. Its index counts from the least of the array on, which may have
// steps.
func (e shardEnv) slurm() (Shard, error) {
	const help = "it is in a job array, as of sbatch --array=1-4; else write K/N"
	var id, count, least int64
	for _, v := range []struct {
		to   *int64
		name string
	}{{&id, slurmID}, {&count, slurmCount}, {&least, slurmMin}} {
		n, err := e.number(v.name, help)
		if err != nil {
			return Shard{}, err
		}
		*v.to = n
	}
	step := int64(1)
	if _, set := e(slurmMax); set && count > 1 {
		most, err := e.number(slurmMax, help)
		if err != nil {
			return Shard{}, err
		}
		if most-least < count-1 || (most-least)%(count-1) != 0 {
			return Shard{}, fmt.Errorf(
				"the %d indices of the array from %d to %d have no equal steps; write K/N", count,
				least, most)
		}
		step = (most - least) / (count - 1)
	}
	if id < least || (id-least)%step != 0 {
		return Shard{}, fmt.Errorf(
			"%s=%d is none of %d indices from %d on with a step of %d; write K/N", slurmID, id,
			count, least, step)
	}
	s := Shard{K: (id-least)/step + 1, N: count, Source: fmt.Sprintf("%s=%d", slurmID, id)}
	return s, s.checkOf(slurmCount)
}

// kubernetes is the pod of an Indexed Job. Kubernetes sets the index alone, which counts from 0;
// the job has to hand on how many there are.
func (e shardEnv) kubernetes() (Shard, error) {
	index, err := e.number(kubeIndex,
		"Kubernetes sets it in a Job with completionMode: Indexed; else write K/N")
	if err != nil {
		return Shard{}, err
	}
	count, err := e.number(kubeCount,
		"Kubernetes does not tell it: the Job sets it with env to its completions")
	if err != nil {
		return Shard{}, err
	}
	if index < 0 || index >= count {
		return Shard{}, fmt.Errorf("%s=%d is not within 0 and %s-1, which is %d", kubeIndex, index,
			kubeCount, count-1)
	}
	s := Shard{K: index + 1, N: count, Source: fmt.Sprintf("%s=%d", kubeIndex, index)}
	return s, s.checkOf(kubeCount)
}

// Part is the bytes from and up to which the shard has, of a range of n bytes that is made of
// blocks. A tail that is shorter than a block belongs to the block before it. With b whole blocks,
// at least one, the shard has those from (K-1)*b/N up to K*b/N, rounded down: N parts differ by one
// block at most, and some are empty if N is more than b.
func (s Shard) Part(n, block int64) (from, to int64) {
	if s.N == 0 {
		return 0, n
	}
	return s.border(s.K-1, n, block), s.border(s.K, n, block)
}

// border is where the first k shards end.
func (s Shard) border(k, n, block int64) int64 {
	if k == s.N {
		return n
	}
	high, low := bits.Mul64(uint64(k), uint64(max(n/block, 1)))
	blocks, _ := bits.Div64(high, low, uint64(s.N))
	return int64(blocks) * block
}
