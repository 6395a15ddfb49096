package blkdebug

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
)

const (
	// maxConfig is how long a config file may be, in bytes.
	maxConfig = 1 << 20
	// maxSettings is how many options a section may have. No rule has nearly as many.
	maxSettings = 64
)

// readConfig reads a config file, which may be a pipe, and gives the rules of each group.
func readConfig(ctx context.Context, path string) (map[string][]rule, error) {
	f, err := target.OpenInput(ctx, path)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, driver.Refuse("Could not read blkdebug config file: %s",
			driver.ErrnoText(driver.Errno(err)))
	}
	defer f.Close()
	found, err := parseConfig(f)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return found, err
}

// configParser reads sections line by line, in the grammar that QEMU reads with sscanf: a line that
// starts with # is a comment, [group] or [group "id"] starts a section, and anything else is an
// option, a word followed by = and a value in double quotes. Whatever stands behind that is
// ignored, and a value that is not there is empty.
type configParser struct {
	group, id string
	options   *driver.Options // of the current section; nil before the first
	ids       map[[2]string]bool
	found     map[string][]rule
}

func parseConfig(r io.Reader) (map[string][]rule, error) {
	p := &configParser{ids: map[[2]string]bool{}, found: map[string][]rule{}}
	limited := &io.LimitedReader{R: r, N: maxConfig + 1}
	in := bufio.NewReader(limited)
	for {
		line, err := in.ReadString('\n')
		if limited.N == 0 {
			err = syscall.EFBIG
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, driver.Refuse("Cannot read config file: %s",
				driver.ErrnoText(driver.Errno(err)))
		}
		if perr := p.line(line); perr != nil {
			return nil, perr
		}
		if err != nil {
			return p.found, p.endSection()
		}
	}
}

func (p *configParser) line(line string) error {
	if line == "" || line == "\n" || line[0] == '#' {
		return nil
	}
	if group, id, ok := parseHeader(line); ok {
		if err := p.endSection(); err != nil {
			return err
		}
		p.group, p.id, p.options = group, id, &driver.Options{}
		return nil
	}
	key, value := parseSetting(line)
	switch {
	case key == "":
		return driver.Refuse("parse error")
	case p.options == nil:
		return driver.Refuse("no group defined")
	case p.options.Len() == maxSettings:
		return driver.Refuse("Invalid parameter '%s'", key)
	}
	p.options.Set(key, value)
	return nil
}

// parseHeader reads [group] and [group "id"]. Neither the quote nor the bracket needs its partner.
func parseHeader(line string) (group, id string, ok bool) {
	rest, ok := strings.CutPrefix(line, "[")
	if !ok {
		return "", "", false
	}
	word, after := cutWord(rest)
	if quoted, ok := strings.CutPrefix(trimSpace(after), `"`); ok {
		if id, _, _ = strings.Cut(quoted, `"`); id != "" {
			return word, id, true
		}
	}
	group, _, _ = strings.Cut(rest, "]")
	return group, "", group != ""
}

// parseSetting reads key = "value".
func parseSetting(line string) (key, value string) {
	key, rest := cutWord(line)
	if rest, ok := strings.CutPrefix(trimSpace(rest), "="); ok {
		if quoted, ok := strings.CutPrefix(trimSpace(rest), `"`); ok {
			value, _, _ = strings.Cut(quoted, `"`)
		}
	}
	return key, value
}

// blanks are what C's isspace takes for white space.
const blanks = " \t\n\v\f\r"

func trimSpace(s string) string { return strings.TrimLeft(s, blanks) }

// cutWord splits off the first word.
func cutWord(s string) (word, rest string) {
	s = trimSpace(s)
	if i := strings.IndexAny(s, blanks); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// endSection turns the section that ends here into a rule.
func (p *configParser) endSection() error {
	if p.options == nil {
		return nil
	}
	for _, g := range groups {
		if g.name != p.group {
			continue
		}
		if err := p.checkID(); err != nil {
			return err
		}
		one, err := g.parse(p.options, "Invalid parameter '%s'%.0[2]s")
		p.found[g.name] = append(p.found[g.name], one)
		return err
	}
	return driver.Refuse("There is no option group '%s'", p.group)
}

func (p *configParser) checkID() error {
	if p.id == "" {
		return nil
	}
	if !driver.IsIdentifier(p.id) {
		return driver.IdentifierError{}
	}
	key := [2]string{p.group, p.id}
	if p.ids[key] {
		return driver.Refuse("Duplicate ID '%s' for %s", p.id, p.group)
	}
	p.ids[key] = true
	return nil
}
