package blkdebug

import (
	"context"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
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

// ioTypeNames are what the values of iotype mean.
var ioTypeNames = [...]struct {
	name string
	is   ioType
}{
	{"read", ioRead},
	{"write", ioWrite},
	{"write-zeroes", ioWriteZeroes},
	{"discard", ioDiscard},
	{"flush", ioFlush},
	{"block-status", ioBlockStatus},
}

// ioTypeNamed is what a value of iotype means, 0 for none.
func ioTypeNamed(name string) ioType {
	for _, t := range ioTypeNames {
		if t.name == name {
			return t.is
		}
	}
	return 0
}

// rule is what can be said of a rule, of either kind.
type rule interface {
	// when is the name of its event, nil if it has none, and the state that it applies in.
	when() (event *string, state int64)
	add(r *rules, t trigger) error
}

// injectError is a rule that fails requests.
type injectError struct {
	Event  *string `option:"event"`
	State  int64   `option:"state" default:"0"`
	IOType *string `option:"iotype"`
	Errno  int64   `option:"errno" default:"5"` // EIO
	Sector int64   `option:"sector" default:"-1"`
	Once   bool    `option:"once" default:"off"`
	// Immediately decides in QEMU whether the error comes before or after the caller has gone to
	// sleep. Here a request is a call, and returns its error either way.
	Immediately bool `option:"immediately" default:"off"`
}

func (i *injectError) when() (event *string, state int64) { return i.Event, i.State }

// setState is a rule that changes the state.
type setState struct {
	Event    *string `option:"event"`
	State    int64   `option:"state" default:"0"`
	NewState int64   `option:"new_state" default:"0"`
}

func (s *setState) when() (event *string, state int64) { return s.Event, s.State }

// group is a kind of rule: the name of its sections and options, what one consists of, and where
// the options have them.
type group struct {
	name  string
	empty func() rule
	given func(c *config) *driver.Options
}

// groups has all kinds of rule in the order in which they are added.
var groups = [...]*group{
	{"inject-error", func() rule { return new(injectError) }, func(c *config) *driver.Options { return &c.InjectError.Options }},
	{"set-state", func() rule { return new(setState) }, func(c *config) *driver.Options { return &c.SetState.Options }},
}

// trigger says when a rule applies.
type trigger struct {
	event driver.Event
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
	if i.sector < 0 || i.sector > math.MaxInt64/driver.SectorSize {
		return false
	}
	at := i.sector * driver.SectorSize
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
	injections  map[driver.Event][]*injection
	transitions map[driver.Event][]transition
	state       int64
	active      []*injection
}

// checkConfig refuses rules that an image names and that are no file: a pipe would be waited for,
// and a device is not the image's to read.
func checkConfig(o *driver.Opening, c *config) error {
	if o.From == "" || c.Rules == nil || *c.Rules == "" {
		return nil
	}
	path := *c.Rules
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return driver.Refuse("'%s' names rules in '%s', which is no regular file", o.From, path)
	}
	return nil
}

// readRules reads the rules of the config file and then those of the options.
func readRules(ctx context.Context, c *config) (*rules, error) {
	var found [len(groups)][]rule
	if c.Rules != nil {
		sections, err := readConfig(ctx, *c.Rules)
		if err != nil {
			return nil, err
		}
		for i, g := range groups {
			found[i] = sections[g.name]
		}
	}
	for i, g := range groups {
		more, err := g.fromOptions(g.given(c).Clone())
		if err != nil {
			return nil, err
		}
		found[i] = append(found[i], more...)
	}
	r := &rules{
		injections:  map[driver.Event][]*injection{},
		transitions: map[driver.Event][]transition{},
		state:       1,
	}
	for i := range groups {
		for _, rule := range found[i] {
			if err := r.addRule(rule); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// fromOptions reads the rules below KEY. in the options: a single one as KEY.event, or several as
// KEY.0.event and so on.
func (g *group) fromOptions(o *driver.Options) ([]rule, error) {
	if slices.ContainsFunc(driver.KeysOf(g.empty()),
		func(k driver.Key) bool { return o.Has(k.Name) }) {
		single, err := g.parse(o, "Unknown option '%s' for [%s]")
		return []rule{single}, err
	}
	var list []*driver.Options // nil for a value that is no group
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
		return nil, driver.Refuse("Unused option '%s' for [%s]", o.Keys()[0], g.name)
	}
	var found []rule
	for i, sub := range list {
		if sub == nil {
			return nil, driver.Refuse("[%s] section (index %d) does not consist of keys", g.name, i)
		}
		one, err := g.parse(sub, "[%[2]s] section doesn't support the option '%[1]s'")
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// parse reads one rule. What is left over is refused; in the words for that, the option comes first
// and the group second.
func (g *group) parse(o *driver.Options, unknown string) (rule, error) {
	one := g.empty()
	err := driver.Fill(one, o)
	if err == nil && o.Len() > 0 {
		err = driver.Refuse(unknown, o.Keys()[0], g.name)
	}
	return one, err
}

func (r *rules) addRule(one rule) error {
	name, state := one.when()
	if name == nil {
		return driver.Refuse("Missing event name for rule")
	}
	t := trigger{driver.EventNamed(*name), state}
	if t.event == 0 {
		return unknownValue(*name)
	}
	return one.add(r, t)
}

func unknownValue(s string) error { return driver.Refuse("invalid parameter value: %s", s) }

func (i *injectError) add(r *rules, t trigger) error {
	added := &injection{
		trigger: t,
		types:   ioDefault,
		errno:   syscall.Errno(min(max(0, i.Errno), math.MaxInt32)),
		sector:  i.Sector,
		once:    i.Once,
	}
	if i.IOType != nil {
		if added.types = ioTypeNamed(*i.IOType); added.types == 0 {
			return unknownValue(*i.IOType)
		}
	}
	r.injections[t.event] = append(r.injections[t.event], added)
	return nil
}

func (s *setState) add(r *rules, t trigger) error {
	r.transitions[t.event] = append(r.transitions[t.event], transition{t, s.NewState})
	return nil
}

// reach activates the injections for e in place of those that are active, if there are any, and
// changes the state. Of several transitions that fit, the first counts.
func (r *rules) reach(e driver.Event) {
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
		r.injections[i.event] = slices.DeleteFunc(r.injections[i.event],
			func(j *injection) bool { return j == i })
	}
	return i.errno
}
