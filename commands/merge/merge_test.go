package merge

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify/merkle"
)

const mib = 1 << 20

// told is the file of a shard of 10 MiB, cut by 1 MiB, with what follows the event "shard": each
// OFF and LEN stands for where the shard lies. Changes are made to the event.
func told(k, n int64, op, result string, status int, changes ...string) string {
	from, to := args.Shard{K: k, N: n}.Part(10*mib, mib)
	shard := fmt.Sprintf(`{"kind":"shard","line":1,"offset":%d,"length":%d,"op":"%s","shard":%d,`+
		`"shards":%d,"block":1048576,"image_size":10485760,"asked":"%s","whole_offset":0,`+
		`"whole_length":10485760}`, from, to-from, op, k, n, op)
	shard = strings.NewReplacer(changes...).Replace(shard)
	text := shard + "\n"
	if result != "" {
		text += result + "\n"
	}
	if status >= 0 {
		text += fmt.Sprintf(`{"kind":"exit","status":%d,"schema":1}`, status) + "\n"
	}
	return strings.NewReplacer("OFF", fmt.Sprint(from), "LEN", fmt.Sprint(to-from),
		"FIRST", fmt.Sprint(from/merkle.Leaf), "LEAVES", fmt.Sprint((to-from)/merkle.Leaf)).
		Replace(text)
}

// What shards may say.
const (
	zero    = `{"kind":"zero","line":1,"offset":OFF,"length":LEN}`
	notZero = `{"kind":"not_zero","line":1,"offset":OFF,"length":LEN,"first":OFF,` +
		`"ranges":[{"offset":OFF,"length":512,"bad":2}],"range_count":1,"bytes":2,"op":"iszero",` +
		`"value":7,"error":true,"message":"iszero: not zero"}`
	verdict = `{"kind":"verdict","line":1,"offset":OFF,"length":LEN,"fio":"3.42","done":true,` +
		`"blocks":5,"checked":LEN,"generations":[{"generation":1,"blocks":5}],"elapsed_ns":0}`
	damaged = `{"kind":"bad_range","line":1,"offset":OFF,"length":4096,"class":"zeroed",` +
		`"first":{"offset":1}}` + "\n" +
		`{"kind":"damaged","line":1,"offset":OFF,"length":LEN,"done":true,"blocks":5,` +
		`"checked":LEN,"bad":1,"bad_bytes":4096,"classes":{"zeroed":1},"ranges":1,"error":true}`
	searched = `{"kind":"searched","line":1,"offset":OFF,"length":LEN,"matches":3,"more":true}`
	notFound = `{"kind":"not_found","line":1,"offset":OFF,"length":LEN,"error":true,"message":"m"}`
	written  = `{"kind":"blocks_written","line":1,"offset":OFF,"length":LEN,"bytes":LEN}`
	summed   = `{"kind":"sum","line":1,"offset":OFF,"length":LEN,"algorithm":"md5","sum":"SUM"}`
	copied   = `{"kind":"copied","line":1,"offset":OFF,"length":LEN,"written":DONE}`
	failed   = `{"kind":"failed","line":1,"op":"iszero","error":true,"message":"iszero failed: EIO"}`
)

// merged adds up files and returns the verdicts, and what is wrong with the files.
func merged(t testing.TB, files ...string) (*Merger, []event.Merged, error) {
	t.Helper()
	m := &Merger{Hash: func(name string) func() hash.Hash {
		if name == "tree-sha256" {
			return sha256.New
		}
		return nil
	}}
	for i, text := range files {
		err := m.Read(context.Background(), fmt.Sprintf("%d.json", i+1), strings.NewReader(text))
		if err != nil {
			return m, nil, err
		}
	}
	list, err := m.Verdicts()
	return m, list, err
}

// TestVerdicts is what becomes of a run, as JSON has it.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  string // fields of the first verdict
	}{
		{
			"complete",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", zero, 0)},
			`{"complete":true,"status":0,"shards":2,"shards_done":2}`,
		},
		{
			"complete in one file, in any order",
			[]string{told(3, 3, "iszero", zero, 0) + told(1, 3, "iszero", zero, 0) + told(2, 3, "iszero", zero, 0)},
			`{"complete":true,"status":0}`,
		},
		{
			"one is missing",
			[]string{told(1, 2, "iszero", zero, 0)},
			`{"complete":false,"status":1,"missing_count":1,"missing":[{"shard":2,"offset":5242880,"length":5242880}]}`,
		},
		{
			"one was killed",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", zero, -1)},
			`{"complete":false,"status":1,"missing":[{"shard":2,"offset":5242880,"length":5242880,"file":"2.json","why":"it ends without an exit status: its program was killed, or still runs"}]}`,
		},
		{
			"one was killed and run again",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", "", -1), told(2, 2, "iszero", zero, 0)},
			`{"complete":true,"status":0,"overlaps":null}`,
		},
		{
			"one failed",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", failed, 5)},
			`{"complete":false,"status":5,"missing":[{"shard":2,"offset":5242880,"length":5242880,"file":"2.json","why":"iszero failed: EIO"}]}`,
		},
		{
			"one said nothing of a result",
			[]string{told(1, 1, "iszero", "", 0)},
			`{"complete":false,"status":1}`,
		},
		{
			"one did not come to its end",
			[]string{told(1, 1, "verify_read", strings.Replace(verdict, `"done":true`, `"done":false`, 1), 130)},
			`{"complete":false,"status":130}`,
		},
		{
			"done twice",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", zero, 0), told(2, 2, "iszero", notZero, 1)},
			`{"complete":true,"status":1,"overlaps":[{"shard":2,"files":["2.json","3.json"],"differ":true}],"bytes":2}`,
		},
		{
			"done twice, alike",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", zero, 0), told(2, 2, "iszero", zero, 0)},
			`{"complete":true,"status":1,"overlaps":[{"shard":2,"files":["2.json","3.json"]}]}`,
		},
		{
			"trees that contradict each other have no sum",
			[]string{
				told(1, 1, "sum", grown("00"), 0), told(1, 1, "sum", grown("00"), 0),
				told(1, 1, "sum", grown("01"), 0),
			},
			`{"complete":true,"status":1,"sum":null,"overlaps":[{"shard":1,"files":["1.json","2.json","3.json"],"differ":true}]}`,
		},
		{
			"sums that contradict each other",
			[]string{
				told(1, 1, "sum", strings.Replace(summed, "SUM", "00", 1), 0),
				told(1, 1, "sum", strings.Replace(summed, "SUM", "01", 1), 0),
			},
			`{"complete":true,"status":1,"overlaps":[{"shard":1,"files":["1.json","2.json"],"differ":true}]}`,
		},
		{
			"a copy that went on has written less",
			[]string{
				told(1, 1, "copy", strings.Replace(copied, "DONE", "10485760", 1), 0),
				told(1, 1, "copy", strings.Replace(copied, "DONE", "5", 1), 0),
			},
			`{"complete":true,"status":1,"overlaps":[{"shard":1,"files":["1.json","2.json"]}]}`,
		},
		{
			"of another image",
			[]string{
				told(1, 2, "iszero", zero, 0),
				told(2, 2, "iszero", zero, 0, `"image_size":10485760`, `"image_size":20971520`),
			},
			`{"complete":false,"status":1,"foreign":[{"file":"2.json","field":"image_size","theirs":"20971520","ours":"10485760"}]}`,
		},
		{
			"of another number of shards",
			[]string{told(1, 3, "iszero", zero, 0), told(2, 3, "iszero", zero, 0), told(2, 2, "iszero", zero, 0)},
			`{"complete":false,"status":1,"shards":3,"foreign":[{"file":"3.json","field":"shards","theirs":"2","ours":"3"}]}`,
		},
		{
			"another call",
			[]string{told(1, 2, "iszero", zero, 0), told(2, 2, "iszero", zero, 0, `"asked":"iszero"`, `"asked":"iszero 0 1"`)},
			`{"complete":false,"status":1,"foreign":[{"file":"2.json","field":"asked","theirs":"iszero 0 1","ours":"iszero"}]}`,
		},
		{
			"figures",
			[]string{told(1, 2, "verify_read", verdict, 0), told(2, 2, "verify_read", damaged, 1)},
			`{"complete":true,"status":1,"blocks":10,"checked":10485760,"bad":1,"bad_bytes":4096,"classes":{"zeroed":1},"ranges":[{"offset":5242880,"length":4096,"class":"zeroed"}],"range_count":1}`,
		},
		{
			"damage, and a status that denies it",
			[]string{told(1, 1, "verify_read", damaged, 0)},
			`{"complete":true,"status":1,"bad":1}`,
		},
		{
			"damage that another command found",
			[]string{told(1, 1, "iszero", zero, -1) + told(1, 1, "verify_read", damaged, 1)},
			`{"op":"iszero","complete":true,"status":0}`,
		},
		{
			"no block was verified by anybody",
			[]string{told(1, 1, "verify_read", strings.Replace(verdict, `"blocks":5`, `"blocks":0`, 1), 0)},
			`{"complete":true,"status":1}`,
		},
		{
			"found by one",
			[]string{told(1, 2, "find", notFound, 1), told(2, 2, "find", searched, 0)},
			`{"complete":true,"status":0,"matches":3,"more":true}`,
		},
		{
			"found by nobody",
			[]string{told(1, 2, "find", notFound, 1), told(2, 2, "find", notFound, 1)},
			`{"complete":true,"status":1}`,
		},
		{
			"something else failed besides",
			[]string{told(1, 1, "find", notFound+"\n"+failed, 5)},
			`{"complete":false,"status":5}`,
		},
		{
			"written and verified",
			[]string{told(1, 1, "verify_write", written+"\n"+verdict, 0)},
			`{"complete":true,"status":0,"written":10485760,"blocks":5}`,
		},
		{
			"nothing is left for the first of eleven, which nobody ran",
			[]string{strings.Join(slices.Collect(func(yield func(string) bool) {
				for k := int64(2); k <= 11 && yield(told(k, 11, "iszero", zero, 0)); k++ {
				}
			}), "")},
			`{"complete":true,"status":0}`,
		},
		{
			"events of others between",
			[]string{`{"kind":"opened","name":"x","size":"strange"}` + "\n" + told(1, 1, "iszero", zero+"\n"+`{"kind":"new","line":1,"status":"fine","blocks":[]}`, 0)},
			`{"complete":true,"status":0}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, list, err := merged(t, c.files...)
			if err != nil || len(list) == 0 {
				t.Fatalf("%d verdicts, %v", len(list), err)
			}
			text, err := json.Marshal(list[0])
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			for name, value := range want {
				if !reflect.DeepEqual(got[name], value) {
					t.Errorf("%s is %v, not %v", name, got[name], value)
				}
			}
		})
	}
}

// TestLies: what cannot be is refused, with the line.
func TestLies(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"hello\n", "line 1: no object as --json writes them: what stands at byte 1 of it is no JSON"},
		{"[]\n", "line 1: no object as --json writes them: it is a JSON array"},
		{"{\"kind\":7}\n", "line 1: no object as --json writes them: its kind is a number"},
		{"{\"kind\":\n{}\n", "line 1: no object as --json writes them: it ends too early"},
		{"hello", "line 1: no object"},
		{"{}\n", "line 1: no object as --json writes them: it has no kind"},
		{"[1]\n", "line 1: no object"},
		{"{\"kind\":\"exit\"}\n", "line 1: an exit without a status"},
		{`{"kind":"exit","status":-1,"schema":1}` + "\n", "an exit without a status"},
		{`{"kind":"exit","status":0,"schema":2}` + "\n", "version 2 of the objects is not known here"},
		{told(1, 2, "iszero", zero, 0, `"shard":1`, `"shard":3`), "line 1: shard 3 of 2 is none"},
		{told(1, 2, "iszero", zero, 0, `"shards":2`, `"shards":-1`), "shard 1 of -1 is none"},
		{told(1, 2, "iszero", zero, 0, `"block":1048576`, `"block":0`), "is none"},
		{told(1, 2, "iszero", zero, 0, `"whole_offset":0`, `"whole_offset":9223372036854775807`), "is none"},
		{told(1, 2, "iszero", zero, 0, `"offset":0`, `"offset":512`), "line 1: shard 1 of 2 has 5242880 bytes at 0, and not 5242880 at 512"},
		{told(1, 2, "iszero", zero, 0, `"op":"iszero"`, `"op":"read"`), `a shard of "read", which has none`},
		{told(1, 2, "iszero", zero, 0, `"asked":"iszero"`, `"asked":"`+strings.Repeat("x", 70000)+`"`), "a call is longer than 64 KiB"},
		{told(1, 2, "iszero", strings.Replace(zero, "LEN", "7", 1), 0), "line 2: the result is that of 7 bytes at 0, and the shard has 5242880 at 0"},
		{told(1, 2, "iszero", zero+"\n"+zero, 0), `line 3: the result "zero" is told twice`},
		{told(1, 2, "iszero", strings.Replace(notZero, `"bytes":2`, `"bytes":-2`, 1), 1), "a figure is negative"},
		{
			told(2, 2, "iszero", strings.Replace(notZero, `[{"offset":OFF`, `[{"offset":0`, 1), 1),
			"512 bytes at 0 are not the shard's",
		},
		{told(1, 2, "iszero", strings.Replace(notZero, `"ranges":[`, `"ranges":7,"x":[`, 1), 1), "line 2: ranges"},
		{told(1, 2, "verify_read", strings.Replace(damaged, `"bad":1`, `"bad":6`, 1), 1), "more blocks are bad than there are"},
		{told(1, 2, "verify_read", strings.ReplaceAll(damaged, "zeroed", "cursed"), 1), "bad bytes at"},
		{told(1, 2, "verify_read", strings.Replace(damaged, `{"zeroed":1}`, `{"cursed":1}`, 1), 1), `1 blocks of "cursed"`},
		{told(1, 2, "verify_read", strings.Replace(verdict, `"blocks":5`, `"blocks":1e99`, 1), 0), `line 2: the object "verdict"`},
		{told(1, 2, "sum", `{"kind":"sum_part","line":1,"offset":OFF,"length":LEN,"algorithm":"md5"}`, 0), `a sum by "md5" is not known`},
		{told(1, 2, "sum", tree(`"leaf":4096`), 0), "the leaves of the tree are not those of the shard"},
		{told(1, 2, "sum", tree(`"first":1`), 0), "not the hashes of a run of leaves"},
		{told(1, 2, "sum", tree(`"leaves":1`), 0), "not the hashes of a run of leaves"},
		{told(1, 2, "sum", tree(`"nodes":[{"level":3,"sum":"00"}]`), 0), "not the hashes of a run of leaves"},
		{told(1, 2, "sum", tree(`"nodes":[{"level":3,"sum":"0g"}]`), 0), `the object "sum_part"`},
		{strings.Repeat("x", longestLine+1), "a line is longer than 16 MiB"},
	} {
		_, _, err := merged(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.200s: %v, not %s", c.text, err, c.want)
		}
	}
}

// tree is what a shard of 80 leaves says of a tree, with another field.
func tree(change string) string {
	sum := strings.Repeat("00", 32)
	return `{"kind":"sum_part","line":1,"offset":OFF,"length":LEN,"algorithm":"tree-sha256",` +
		`"leaf":65536,"first":FIRST,"leaves":LEAVES,"nodes":[{"level":6,"sum":"` + sum +
		`"},{"level":4,"sum":"` + sum + `"}],` + change + `}`
}

// grown is a part of ten MiB with all of the tree, whose hashes are of one kind of byte.
func grown(digits string) string {
	return strings.NewReplacer(`"level":6`, `"level":7`, `"level":4`, `"level":5`, "00", digits).
		Replace(strings.TrimSuffix(tree(""), ",}")) + "}"
}

// TestIdle: a program that began no shard harms nobody but a run that is not complete.
func TestIdle(t *testing.T) {
	const idle = `{"kind":"open_failed","error":true,"message":"no such file"}` + "\n" +
		`{"kind":"exit","status":3,"schema":1}` + "\n"
	m, list, err := merged(t, idle, "", told(1, 1, "iszero", zero, 0))
	if err != nil || len(list) != 1 || list[0].Status != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	want := []event.MergeIdle{
		{Name: "1.json", Status: 3, Why: "no such file"},
		{Name: "2.json", Status: cut, Why: "it ends before a shard begins"},
	}
	if !reflect.DeepEqual(m.Idle(), want) {
		t.Errorf("%+v", m.Idle())
	}
	if _, list, err = merged(t, idle, told(1, 2, "iszero", zero, 0)); err != nil ||
		list[0].Status != 3 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestBounds: neither many runs nor many places take memory without end.
func TestBounds(t *testing.T) {
	var many strings.Builder
	for i := range mostRuns + 1 {
		many.WriteString(told(1, 1, "iszero", zero, 0, `"asked":"iszero"`,
			fmt.Sprintf(`"asked":"iszero %d"`, i)))
	}
	if _, _, err := merged(t, many.String()); err == nil ||
		!strings.Contains(err.Error(), "parts of more than 256 runs") {
		t.Error(err)
	}
	const place = `{"kind":"bad_range","line":1,"offset":OFF,"length":1,"class":"zeroed"}` + "\n"
	places := strings.Repeat(place, 2*mostRanges)
	_, list, err := merged(t, told(1, 1, "verify_read", places+damaged, 1))
	if err != nil || len(list) != 1 || len(list[0].Ranges) > mostRanges {
		t.Error(len(list), err)
	}
	// A run may have many more parts than files have told of.
	_, list, err = merged(t, told(1, mostParts, "iszero", zero, 0, `"length":0`, `"length":0`))
	if err != nil || len(list) != 1 || list[0].MissingCount != 10 || len(list[0].Missing) != 10 {
		t.Errorf("%+v, %v", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(Merger).Read(ctx, "x",
		strings.NewReader(many.String())); err != context.Canceled {
		t.Error(err)
	}
}

// FuzzRead: whatever files say, nothing panics, and a verdict that is fine has all parts.
func FuzzRead(f *testing.F) {
	f.Add(told(1, 2, "iszero", zero, 0)+told(2, 2, "iszero", notZero, 1),
		told(2, 2, "verify_read", damaged, 1))
	f.Add(told(1, 1, "find", searched, 0), told(1, 1, "sum", tree(`"x":1`), 0))
	most := strings.Replace(damaged, `{"zeroed":1}`, `{"zeroed":9223372036854775807}`, 1)
	f.Add(told(1, 2, "verify_read", most, 1), told(2, 2, "verify_read", damaged, 1))
	f.Fuzz(func(t *testing.T, one, other string) {
		_, list, err := merged(t, one, other)
		for _, v := range list {
			for class, n := range v.Classes {
				if err == nil && n < 0 {
					t.Errorf("%d blocks are %s", n, class)
				}
			}
			if err == nil && v.Status == 0 && (!v.Complete || v.Bad > 0 || v.Wrong > 0) {
				t.Errorf("%+v", v)
			}
		}
	})
}
