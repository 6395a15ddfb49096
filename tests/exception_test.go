package tests

import (
	"slices"
	"strings"
	"testing"
)

// An exception is a difference from the original that is meant, or what no two
// runs share. settle makes want and got comparable in all other respects.
type exception struct {
	dialects string // those it holds in; empty: all
	ids      string
	reason   string
	settle   settling
}

type settling func(want, got answer) (answer, answer)

var exceptions = []exception{
	{"", "A01 A02 A08", "the version and its copyright line are our own", bannerOnly},
	{"", "I05", "the order in which two requests in flight complete is free", anyOrder},
	{"", "M10 M11 M12", "the original waits for ever", endsByItself},
	{"qemu-7.2", "J16", "the original crashes", endsByItself},
	{"qemu-2.4", "H22", "the original crashes", endsByItself},
	{"qemu", "I20 I21 I22", "the original fails an assertion", endsByItself},
	{
		"qemu qemu-7.2", "I14 I16 I18", "the original reports the machine's uptime as elapsed time",
		instead("d:dd:dd.dd (", "dd.dd sec ("),
	},
	{
		"qemu-2.4", "C112", "lengths wrap at 32 bits in the original; they are refused here",
		instead("read 512/512 bytes at offset 0\n"+report24, refused24),
	},
	{
		"qemu-2.4", "C113", "lengths wrap at 32 bits in the original; they are refused here",
		instead("wrote 512/512 bytes at offset 0\n"+report24, refused24),
	},
	{
		"qemu-2.4", "N12", "signal numbers wrap at 32 bits in the original; they are refused here",
		instead("quit --", "non-numeric signal number argument -- 4294967296\nquit --"),
	},
}

// What 2.4.0 reports for 512 bytes, and what is said instead to the length
// that it took for 512.
const (
	report24  = "512 bytes, 1 ops; d.dddd sec (<RATE>/sec and <OPS> ops/sec)\n"
	refused24 = "non-numeric length argument -- 4294967808\n"
)

// TestExceptions refuses exceptions to what is not in any script.
func TestExceptions(t *testing.T) {
	recorded := map[string][]string{} // by id: the dialects
	for _, dialect := range dialects {
		for _, s := range readScripts(t, dialect) {
			for _, c := range s.cases {
				recorded[c.id] = append(recorded[c.id], dialect)
			}
		}
	}
	for _, e := range exceptions {
		for _, id := range strings.Fields(e.ids) {
			if len(recorded[id]) == 0 || e.dialects != "" &&
				!slices.ContainsFunc(recorded[id], e.holdsIn) {
				t.Errorf("exception to case %s of %q (%s): there is no such case", id, e.dialects,
					e.reason)
			}
		}
	}
}

func (e exception) holdsIn(dialect string) bool {
	return e.dialects == "" || slices.Contains(strings.Fields(e.dialects), dialect)
}

// settle applies the exceptions of a case. Against -program they hold as well:
// what fails there is what the original does otherwise.
func settle(dialect, id string, want, got answer) (answer, answer) {
	for _, e := range exceptions {
		if e.holdsIn(dialect) && slices.Contains(strings.Fields(e.ids), id) {
			want, got = e.settle(want, got)
		}
	}
	return want, got
}

// settledDiff compares two answers as far as the exceptions leave them alone.
func settledDiff(dialect, id string, want, got answer) string {
	want, got = settle(dialect, id, want, got)
	return want.diff(got)
}

// bannerOnly leaves what stands before the version number.
func bannerOnly(want, got answer) (answer, answer) {
	const banner = "qemu-io version "
	for _, a := range []*answer{&want, &got} {
		if strings.HasPrefix(a.stdout, banner) {
			a.stdout = banner
		}
	}
	return want, got
}

// anyOrder compares lines as a set.
func anyOrder(want, got answer) (answer, answer) {
	for _, a := range []*answer{&want, &got} {
		a.stdout = strings.Join(slices.Sorted(strings.Lines(a.stdout)), "")
	}
	return want, got
}

// endsByItself asks for no more than an end that is neither a crash nor a hang.
func endsByItself(_, got answer) (answer, answer) {
	want := answer{status: "exit 0"}
	got = answer{status: got.status}
	if got.status == "exit 1" {
		want.status = got.status
	}
	return want, got
}

// instead expects text where the original said old.
func instead(old, text string) settling {
	return func(want, got answer) (answer, answer) {
		want.stdout = strings.ReplaceAll(want.stdout, old, text)
		return want, got
	}
}
