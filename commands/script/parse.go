package script

import (
	"strconv"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

const (
	// deepest is how many blocks may stand inside each other.
	deepest = 16
	// longest bounds the text of what is read before it is run, in bytes.
	longest = 1 << 20
)

// Statements are what lines were parsed into.
type Statements []statement

// Parser turns lines into statements. The zero value is ready. After an error it begins anew.
type Parser struct {
	open    []*block // innermost last
	ready   Statements
	pending string // lines that go on
	began   string // where what is not whole began
	bytes   int
}

// block is one that is not closed yet.
type block struct {
	body  []statement
	close func(body []statement) statement // nil once an else has to be looked for
	onto  *branch                          // whose else it is, nil for none
}

// Open says whether what was read goes on in the next line.
func (p *Parser) Open() bool { return len(p.open) > 0 || p.pending != "" }

// Reset drops what is not whole.
func (p *Parser) Reset() { *p = Parser{} }

// End is called behind the last line. It refuses what is not whole.
func (p *Parser) End() error {
	defer p.Reset()
	switch {
	case len(p.open) > 0:
		return wrong("a block%s has no closing }", since(p.began))
	case p.pending != "":
		return wrong("the last line ends in \\ and nothing follows it")
	}
	return nil
}

func since(pos string) string {
	if pos == "" {
		return ""
	}
	return " that begins at " + pos
}

// wrong is the failure of what cannot be parsed.
func wrong(why string, a ...any) error {
	return event.BadValuef(why, a...)
}

// Split is the statement of a command whose words somebody else has split.
func Split(words []string, pos string) Statements {
	return Statements{split{place{pos, false}, words}}
}

// Add reads a line. What it returns is whole and can be run; it is empty while something is open.
func (p *Parser) Add(line, pos string, typed bool) (Statements, error) {
	if !p.Open() {
		p.began, p.bytes = pos, 0
	}
	if p.bytes += len(line) + 1; p.bytes > longest {
		p.Reset()
		return nil, wrong("what belongs together is longer than 1 MiB")
	}
	line = p.pending + line
	p.pending = ""
	words, err := args.Words(line, true, true)
	if err != nil {
		p.Reset()
		return nil, wrong("%v", err)
	}
	if n := len(words); n > 0 && words[n-1].Raw == `\` && words[n-1].Bare() {
		p.pending = line[:words[n-1].Start] + " "
		return nil, nil
	}
	if err := p.line(&reader{words: cut(words)}, place{pos, typed}); err != nil {
		p.Reset()
		return nil, err
	}
	if len(p.open) > 0 {
		return nil, nil
	}
	ready := p.ready
	p.ready = nil
	return ready, nil
}

// The signs that end a statement: a ";" that stands alone, and one behind a word.
const (
	alone    = ";"
	attached = "; " // which no word is
)

// ownSemicolon is the one command that has a ";" among its operands, which stands alone there.
const ownSemicolon = "multiwrite"

// cut makes a ";" at the end of a word a word of its own. It stands in no quotes there: those of a
// word end with a quote.
func cut(words []args.Word) []args.Word {
	var all []args.Word
	for _, w := range words {
		head, ends := strings.CutSuffix(w.Raw, ";")
		if !ends || head == "" || !w.Bare() && strings.HasSuffix(head, `\`) {
			all = append(all, w)
			continue
		}
		before := w
		before.Raw = head
		all = append(all, before, args.Word{Raw: attached, Start: w.Start + len(head)})
	}
	return all
}

// reader is the words of a line that are not read yet.
type reader struct{ words []args.Word }

// is says whether the next word is that sign or keyword.
func (r *reader) is(sign string) bool {
	return len(r.words) > 0 && r.words[0].Raw == sign && r.words[0].Bare()
}

// take takes that word if it is the next.
func (r *reader) take(sign string) bool {
	ok := r.is(sign)
	if ok {
		r.words = r.words[1:]
	}
	return ok
}

// until takes the words up to one of the signs, which stays.
func (r *reader) until(signs ...string) []args.Word {
	for i := range r.words {
		rest := reader{r.words[i:]}
		for _, sign := range signs {
			if rest.is(sign) {
				taken := r.words[:i]
				r.words = rest.words
				return taken
			}
		}
	}
	taken := r.words
	r.words = nil
	return taken
}

// line parses the words of a line.
func (p *Parser) line(r *reader, at place) error {
	for len(r.words) > 0 {
		switch {
		case r.take(alone), r.take(attached):
		case len(p.open) > 0 && r.take("}"):
			if err := p.end(r); err != nil {
				return err
			}
		default:
			if err := p.statement(r, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a statement to the innermost block.
func (p *Parser) add(s statement) {
	if n := len(p.open); n > 0 {
		p.open[n-1].body = append(p.open[n-1].body, s)
		return
	}
	p.ready = append(p.ready, s)
}

// begin opens a block, whose brace must be the next word.
func (p *Parser) begin(r *reader, what string, onto *branch,
	end func(body []statement) statement,
) error {
	switch {
	case !r.take("{"):
		return wrong("%s wants a block: { commands }", what)
	case len(p.open) == deepest:
		return wrong("more than %d blocks inside each other", deepest)
	}
	p.open = append(p.open, &block{close: end, onto: onto})
	return nil
}

// end closes the innermost block, behind which an else may stand.
func (p *Parser) end(r *reader) error {
	last := len(p.open) - 1
	b := p.open[last]
	p.open = p.open[:last]
	if b.onto != nil {
		b.onto.other = b.body
		p.add(*b.onto)
		return nil
	}
	s := b.close(b.body)
	if then, ok := s.(branch); ok && r.take("else") {
		return p.begin(r, "else", &then, nil)
	}
	p.add(s)
	return nil
}

// statement parses the statement that the next word begins.
func (p *Parser) statement(r *reader, at place) error {
	switch {
	case r.take("let"):
		return p.let(r, at)
	case r.take("repeat"):
		return p.repeat(r, at)
	case r.take("for"):
		return p.loop(r, at)
	case r.take("if"):
		return p.branch(r, at)
	case r.take("time"):
		return p.timed(r, at)
	case r.take("seed"):
		number := p.words(r)
		if len(number) != 1 {
			return wrong("seed wants one number, as in: seed 7")
		}
		p.add(seed{at, number[0]})
		return nil
	case r.is("else"):
		return wrong("else stands behind the } of an if, on the same line")
	}
	s, err := p.command(r, at)
	if err == nil {
		p.add(s)
	}
	return err
}

// words takes those of the statement that is parsed.
func (p *Parser) words(r *reader) []args.Word {
	signs := []string{attached, alone}
	rest := reader{r.words}
	_ = rest.take("!") || rest.take("?")
	if rest.is(ownSemicolon) {
		signs = signs[:1]
	}
	if len(p.open) > 0 {
		signs = append(signs, "}")
	}
	return r.until(signs...)
}

// command parses a command with what it is expected to do.
func (p *Parser) command(r *reader, at place) (statement, error) {
	s := simple{place: at}
	if r.take("expect") {
		if len(r.words) == 0 {
			return nil, wrong("expect wants an exit status and a command, as in: expect 1 iszero")
		}
		status, err := strconv.ParseUint(r.words[0].Raw, 10, 8)
		if err != nil {
			return nil, wrong("expect wants an exit status from 0 to 255, not '%s'", r.words[0].Raw)
		}
		s.expect, s.status = Status, int(status)
		r.words = r.words[1:]
	}
	s.words = p.words(r)
	if len(s.words) > 0 && s.expect == Success && s.words[0].Bare() {
		s.mark()
	}
	switch {
	case len(s.words) == 0:
		return nil, wrong("a command is missing")
	case s.expect != Success && (marked(s.words) || s.words[0].Raw == "expect"):
		return nil, wrong("two words on what a command is to come to; one is enough")
	}
	return s, nil
}

// mark takes away the sign that says that a command must or may fail. A '?' alone is a command.
func (s *simple) mark() {
	first := s.words[0].Raw
	switch {
	case first[0] == '!':
		s.expect = Failure
	case first[0] == '?' && (len(first) > 1 || len(s.words) > 1):
		s.expect = Either
	default:
		return
	}
	if s.words[0].Raw = first[1:]; len(first) == 1 {
		s.words = s.words[1:]
	}
}

// marked says whether words begin with a sign that says what a command may come to.
func marked(words []args.Word) bool {
	return len(words) > 0 && words[0].Bare() && strings.HasPrefix(words[0].Raw, "!")
}

func (p *Parser) let(r *reader, at place) error {
	words := p.words(r)
	var text strings.Builder
	for _, w := range words {
		text.WriteString(w.Raw + " ")
	}
	name, sum, ok := strings.Cut(text.String(), "=")
	name = strings.TrimSpace(name)
	switch {
	case !ok || strings.TrimSpace(sum) == "":
		return wrong("let wants a name and a value, as in: let off = 64k * 3")
	case reserved(name):
		return wrong("'%s' means something in sums and cannot be a variable", name)
	case !args.IsName(name):
		return wrong("'%s' is no name for a variable: letters, digits and _ are", name)
	}
	l := let{place: at, name: name, sum: sum}
	if len(words) == 3 && words[2].Raw[0] == '"' || len(words) == 3 && words[2].Raw[0] == '\'' {
		l.text = &words[2]
	}
	p.add(l)
	return nil
}

// reserved says whether a name means something in sums.
func reserved(name string) bool { return name == "end" || name == "rand" }

func (p *Parser) repeat(r *reader, at place) error {
	count := r.until("{")
	if len(count) != 1 {
		return wrong("repeat wants a number and a block, as in: repeat 3 { read 0 4k }")
	}
	return p.begin(r, "repeat", nil, func(body []statement) statement {
		return repeat{at, count[0], body}
	})
}

func (p *Parser) loop(r *reader, at place) error {
	words := r.until("{")
	if len(words) < 3 || !args.IsName(words[0].Raw) || reserved(words[0].Raw) ||
		words[1].Raw != "in" {
		return wrong("for wants a name, values and a block, as in: for i in 0..10 { ... }")
	}
	l := loop{place: at, name: words[0].Raw, words: words[2:]}
	if n := len(l.words); n > 2 && l.words[n-2].Raw == "step" && l.words[n-2].Bare() {
		l.words, l.step = l.words[:n-2], &l.words[n-1]
	}
	return p.begin(r, "for", nil, func(body []statement) statement {
		l.body = body
		return l
	})
}

func (p *Parser) branch(r *reader, at place) error {
	b := branch{place: at, not: r.take("not")}
	switch {
	case r.take("ok"):
	case r.take("same"):
		b.same = true
	default:
		return wrong("if wants ok or same, which are about the last command, perhaps behind not")
	}
	return p.begin(r, "if", nil, func(body []statement) statement {
		b.then = body
		return b
	})
}

func (p *Parser) timed(r *reader, at place) error {
	if r.is("{") {
		return p.begin(r, "time", nil, func(body []statement) statement {
			return timed{at, body}
		})
	}
	s, err := p.command(r, at)
	if err == nil {
		p.add(timed{at, []statement{s}})
	}
	return err
}
