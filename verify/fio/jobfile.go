package fio

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/blksh/blksh/verify"
)

// Bounds of job files: the bytes of all that one includes, and of a line after its variables were
// put in; how deep files include each other, and how many jobs there are with all clones.
const (
	maxJobBytes = 16 << 20
	maxJobLine  = 1 << 20
	maxIncludes = 8
	MaxJobs     = 1 << 12
)

// A Note says that an option of a job file has no effect, and why.
type Note struct {
	Job    string `json:"job"`
	Line   int    `json:"line"`
	Option string `json:"option"`
	Why    string `json:"why"`
}

func (n Note) String() string {
	return fmt.Sprintf("line %d: job %s: %s is ignored: %s", n.Line, n.Job, n.Option, n.Why)
}

// Surroundings are what a job file gets from elsewhere. All may be nil.
type Surroundings struct {
	// Include reads a file that the job file names, at most limit bytes.
	Include func(name string, limit int) ([]byte, error)
	// Getenv is the value of ${NAME}.
	Getenv func(name string) string
	// Keywords are words such as $ncpus, and what stands for them.
	Keywords map[string]string
}

// ParseJobFile reads jobs in fio's ini form: sections in brackets, options as name=value or a name
// alone, comments from ; or # to the end of the line. What [global] sections say holds for the jobs
// behind them. include adds the options of another file. Options start as base. An option that
// verification does not know is an error; one that changes nothing is in the notes.
func ParseJobFile(r io.Reader, base Options,
	around Surroundings,
) (jobs []Options, notes []Note, err error) {
	if base.KBBase == 0 {
		base.KBBase = 1024
	}
	p := &jobParser{around: around, global: base}
	text, err := io.ReadAll(io.LimitReader(r, maxJobBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("job file: %w", err)
	}
	if err := p.file(string(text), "", 0); err != nil {
		return nil, nil, err
	}
	if err := p.endSection(); err != nil {
		return nil, nil, err
	}
	if len(p.jobs) == 0 {
		return nil, nil, errors.New("job file: no job")
	}
	all := number(p.jobs)
	if len(all) > MaxJobs {
		return nil, nil, fmt.Errorf("job file: more than %d jobs", MaxJobs)
	}
	return all, p.notes, nil
}

// A jobParser is in the midst of a job file.
type jobParser struct {
	around Surroundings
	global Options
	jobs   []Options
	notes  []Note
	// section is the one that lines are collected for, "" before the first.
	section string
	lines   []jobLine
	// read counts the bytes of all files.
	read int
}

// A jobLine is what stands on a line of a job file, or of the file that it includes.
type jobLine struct {
	text string
	file string // "" for the job file itself
	line int
}

// fault is an error of that line.
func (l *jobLine) fault(format string, args ...any) error {
	place := "job file"
	if l.file != "" {
		place += " " + l.file
	}
	return fmt.Errorf("%s, line %d: %w", place, l.line, fmt.Errorf(format, args...))
}

// file reads the lines of a file that depth others include.
func (p *jobParser) file(text, name string, depth int) error {
	if p.read += len(text); p.read > maxJobBytes {
		return fmt.Errorf("job file: more than %d bytes with all that it includes", maxJobBytes)
	}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		l := jobLine{text: uncommented(line), file: name, line: number}
		if err := p.line(&l, depth); err != nil {
			return err
		}
	}
	return nil
}

// uncommented is a line without its comment. fio knows no quotes here.
func uncommented(line string) string {
	if end := strings.IndexAny(line, ";#"); end >= 0 {
		line = line[:end]
	}
	return strings.TrimSpace(line)
}

func (p *jobParser) line(l *jobLine, depth int) error {
	switch {
	case l.text == "":
		return nil
	case len(l.text) > maxJobLine:
		return l.fault("longer than %d bytes", maxJobLine)
	case l.text[0] == '[':
		return p.beginSection(l, depth)
	case p.section == "":
		return l.fault("an option before the first section")
	}
	if name, ok := included(l.text); ok {
		return p.include(l, name, depth)
	}
	p.lines = append(p.lines, *l)
	return nil
}

// included is the file that an include names.
func included(text string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(text, "include")
	if !ok || rest != "" && !strings.ContainsAny(rest[:1], "= \t") {
		return "", false
	}
	return strings.Trim(rest, "= \t"), true
}

func (p *jobParser) include(l *jobLine, name string, depth int) error {
	switch {
	case name == "":
		return l.fault("include needs the name of a file")
	case depth == maxIncludes:
		return l.fault("include %s: more than %d files include each other", verify.Brief(name),
			maxIncludes)
	case p.around.Include == nil:
		return l.fault("include %s: there are no files here", verify.Brief(name))
	}
	text, err := p.around.Include(name, maxJobBytes)
	if err != nil {
		return l.fault("include %s: %w", verify.Brief(name), err)
	}
	return p.file(string(text), name, depth+1)
}

func (p *jobParser) beginSection(l *jobLine, depth int) error {
	name, ok := strings.CutSuffix(l.text[1:], "]")
	switch {
	case !ok || name == "":
		return l.fault("a section is [name]")
	case depth > 0:
		return l.fault("a file that is included has no sections")
	}
	if err := p.endSection(); err != nil {
		return err
	}
	if len(p.jobs) == MaxJobs {
		return l.fault("more than %d jobs", MaxJobs)
	}
	p.section = name
	return nil
}

// endSection sets what the lines of a section say. kb_base comes first: it says
// what the others mean.
func (p *jobParser) endSection() error {
	if p.section == "" {
		return nil
	}
	global := strings.HasPrefix(p.section, "global")
	o := p.global
	if !global {
		o.Name, o.Section = p.section, p.section
	}
	slices.SortStableFunc(p.lines,
		func(a, b jobLine) int { return precedence(b.text) - precedence(a.text) })
	for i := range p.lines {
		if err := p.set(&o, &p.lines[i]); err != nil {
			return err
		}
	}
	if p.lines = nil; global {
		p.global = o
	} else {
		p.jobs = append(p.jobs, o)
	}
	return nil
}

func precedence(text string) int {
	if strings.HasPrefix(text, "kb_base") {
		return 1
	}
	return 0
}

func (p *jobParser) set(o *Options, l *jobLine) error {
	text, err := p.around.expand(l.text)
	if err != nil {
		return l.fault("%w", err)
	}
	name, value, _ := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	why, err := o.Set(name, value)
	if err != nil {
		return l.fault("%w", err)
	}
	if why != "" {
		p.notes = append(p.notes, Note{Job: p.section, Line: l.line, Option: name, Why: why})
	}
	return nil
}

// expand puts in the values of ${NAME} and of keywords. What they say is not
// expanded again. An expression with a keyword is calculated.
func (s *Surroundings) expand(text string) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		b.WriteString(before)
		if !found || !closed {
			b.WriteString(text[len(before):])
			break
		}
		if s.Getenv != nil {
			b.WriteString(s.Getenv(name))
		}
		if text = after; b.Len() > maxJobLine {
			return "", fmt.Errorf("longer than %d bytes with its variables", maxJobLine)
		}
	}
	return s.keywords(b.String())
}

func (s *Surroundings) keywords(text string) (string, error) {
	replaced := text
	for word, value := range s.Keywords {
		replaced = strings.ReplaceAll(replaced, word, value)
		if len(replaced) > maxJobLine {
			return "", fmt.Errorf("longer than %d bytes with its keywords", maxJobLine)
		}
	}
	name, value, _ := strings.Cut(replaced, "=")
	if replaced == text || !strings.ContainsAny(value, "+-*/") {
		return replaced, nil
	}
	n, err := calculate(value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", verify.Brief(text), err)
	}
	return fmt.Sprintf("%s=%d", name, n), nil
}

// number gives the jobs and their clones the thread numbers that fio does, and
// the groups that it runs at the same time, and returns all of them.
func number(jobs []Options) (all []Options) {
	thread, group := 1, 0
	for _, o := range jobs {
		if len(all) > MaxJobs {
			break
		}
		if o.Stonewall && len(all) > 0 {
			group++
		}
		o.Thread, o.Group = thread, group
		clones := o.Clones()
		thread += len(clones)
		all = append(all, clones...)
	}
	return all
}
