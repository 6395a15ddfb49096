package blkdebug

import (
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// ioType is a set of kinds of request.
type ioType uint8

const (
	ioRead ioType = 1 << iota
	ioWrite
	ioWriteZeroes
	ioDiscard
	ioFlush
	ioBlockStatus

	// ioDefault is what a rule without iotype fails.
	ioDefault = ioRead | ioWrite | ioWriteZeroes | ioDiscard | ioFlush
)

var ioTypes = map[string]ioType{
	"read":         ioRead,
	"write":        ioWrite,
	"write-zeroes": ioWriteZeroes,
	"discard":      ioDiscard,
	"flush":        ioFlush,
	"block-status": ioBlockStatus,
}

// group is a kind of rule: the name of its sections and options, and what a rule consists of.
type group struct {
	name string
	keys []blockdev.Key
	add  func(r *rules, t trigger, v blockdev.Values) error
}

var injectError = group{
	name: "inject-error",
	keys: []blockdev.Key{
		{Name: "event", Type: blockdev.String},
		{Name: "state", Type: blockdev.Int, Default: "0"},
		{Name: "iotype", Type: blockdev.String},
		{Name: "errno", Type: blockdev.Int, Default: strconv.Itoa(int(syscall.EIO))},
		{Name: "sector", Type: blockdev.Int, Default: "-1"},
		{Name: "once", Type: blockdev.Bool, Default: "off"},
		// In QEMU this decides whether the error comes before or after the caller has gone to sleep. Here a request is a call, and
		// returns its error either way.
		{Name: "immediately", Type: blockdev.Bool, Default: "off"},
	},
	add: (*rules).addInjection,
}

var setState = group{
	name: "set-state",
	keys: []blockdev.Key{
		{Name: "event", Type: blockdev.String},
		{Name: "state", Type: blockdev.Int, Default: "0"},
		{Name: "new_state", Type: blockdev.Int, Default: "0"},
	},
	add: (*rules).addTransition,
}

// groups has all kinds of rule in the order in which they are added.
var groups = [...]*group{&injectError, &setState}

// trigger says when a rule applies.
type trigger struct {
	event blockdev.EventName
	state int64 // 0 fits every state
}

// injection is an inject-error rule.
type injection struct {
	trigger
	types  ioType
	errno  syscall.Errno // 0 lets the request pass, and keeps later rules from failing it
	sector int64         // -1 for any
	once   bool
}

func (i *injection) fits(t ioType, off, n int64) bool {
	if i.types&t == 0 {
		return false
	}
	if i.sector == -1 {
		return true
	}
	if i.sector < 0 || i.sector > math.MaxInt64/blockdev.SectorSize {
		return false
	}
	at := i.sector * blockdev.SectorSize
	return off <= at && at-off < n
}

// transition is a set-state rule.
type transition struct {
	trigger
	to int64
}

// rules are all rules, each list in the order in which they were given, and the state they work in.
type rules struct {
	mu          sync.Mutex
	injections  map[blockdev.EventName][]*injection
	transitions map[blockdev.EventName][]transition
	state       int64
	active      []*injection
}

// checkConfig refuses rules that an image names and that are no file: a pipe would be waited for, and a device is not the image's to
// read.
func checkConfig(o *blockdev.Opening) error {
	path := o.Values.String("config")
	if o.From == "" || path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return blockdev.Refuse("'%s' names rules in '%s', which is no regular file", o.From, path)
	}
	return nil
}

// readRules reads the rules of the config file and then those of the options.
func readRules(v blockdev.Values) (*rules, error) {
	var found [len(groups)][]blockdev.Values
	if v.Has("config") {
		sections, err := readConfig(v.String("config"))
		if err != nil {
			return nil, err
		}
		for i, g := range groups {
			found[i] = sections[g.name]
		}
	}
	for i, g := range groups {
		more, err := g.fromOptions(v.Sub(g.name))
		if err != nil {
			return nil, err
		}
		found[i] = append(found[i], more...)
	}
	r := &rules{
		injections:  map[blockdev.EventName][]*injection{},
		transitions: map[blockdev.EventName][]transition{},
		state:       1,
	}
	for i, g := range groups {
		for _, v := range found[i] {
			if err := r.addRule(g, v); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// fromOptions reads the rules below KEY. in the options: a single one as KEY.event, or several as KEY.0.event and so on.
func (g *group) fromOptions(o *blockdev.Options) ([]blockdev.Values, error) {
	if slices.ContainsFunc(g.keys, func(k blockdev.Key) bool { return o.Has(k.Name) }) {
		v, err := g.parse(o, "Unknown option '%s' for [%s]")
		return []blockdev.Values{v}, err
	}
	var list []*blockdev.Options // nil for a value that is no group
	for i := 0; ; i++ {
		index := strconv.Itoa(i)
		sub := o.TakeSub(index + ".")
		if _, scalar := o.Take(index); scalar {
			sub = nil
		} else if sub.Len() == 0 {
			break
		}
		list = append(list, sub)
	}
	if o.Len() > 0 {
		return nil, blockdev.Refuse("Unused option '%s' for [%s]", o.Keys()[0], g.name)
	}
	var found []blockdev.Values
	for i, sub := range list {
		if sub == nil {
			return nil, blockdev.Refuse("[%s] section (index %d) does not consist of keys", g.name, i)
		}
		v, err := g.parse(sub, "[%[2]s] section doesn't support the option '%[1]s'")
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, nil
}

// parse reads one rule. What is left over is refused; in the words for that, the option comes first and the group second.
func (g *group) parse(o *blockdev.Options, unknown string) (blockdev.Values, error) {
	v, err := blockdev.ParseValues(g.keys, o)
	if err == nil && o.Len() > 0 {
		err = blockdev.Refuse(unknown, o.Keys()[0], g.name)
	}
	return v, err
}

func (r *rules) addRule(g *group, v blockdev.Values) error {
	if !v.Has("event") {
		return blockdev.Refuse("Missing event name for rule")
	}
	t := trigger{blockdev.EventName(v.String("event")), v.Int("state")}
	if !slices.Contains(blockdev.Events(), t.event) {
		return unknownValue(v.String("event"))
	}
	return g.add(r, t, v)
}

func unknownValue(s string) error { return blockdev.Refuse("invalid parameter value: %s", s) }

func (r *rules) addInjection(t trigger, v blockdev.Values) error {
	i := &injection{
		trigger: t,
		types:   ioDefault,
		errno:   syscall.Errno(min(max(0, v.Int("errno")), math.MaxInt32)),
		sector:  v.Int("sector"),
		once:    v.Bool("once"),
	}
	if v.Has("iotype") {
		if i.types = ioTypes[v.String("iotype")]; i.types == 0 {
			return unknownValue(v.String("iotype"))
		}
	}
	r.injections[t.event] = append(r.injections[t.event], i)
	return nil
}

func (r *rules) addTransition(t trigger, v blockdev.Values) error {
	r.transitions[t.event] = append(r.transitions[t.event], transition{t, v.Int("new_state")})
	return nil
}

// reach activates the injections for e in place of those that are active, if there are any, and changes the state. Of
// several transitions that fit, the first counts.
func (r *rules) reach(e blockdev.EventName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := false
	for _, i := range r.injections[e] {
		if !i.applies(r.state) {
			continue
		}
		if !fresh {
			fresh, r.active = true, r.active[:0]
		}
		r.active = append(r.active, i)
	}
	for _, t := range r.transitions[e] {
		if t.applies(r.state) {
			r.state = t.to
			return
		}
	}
}

func (t trigger) applies(state int64) bool { return t.state == 0 || t.state == state }

// check is the error that an active injection has for a request, nil if there is none.
func (r *rules) check(t ioType, off, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.active, func(i *injection) bool { return i.fits(t, off, n) })
	if at < 0 || r.active[at].errno == 0 {
		return nil
	}
	i := r.active[at]
	if i.once {
		r.active = slices.Delete(r.active, at, at+1)
		r.injections[i.event] = slices.DeleteFunc(r.injections[i.event], func(j *injection) bool { return j == i })
	}
	return i.errno
}
