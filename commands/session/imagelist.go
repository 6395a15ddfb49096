package session

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/event"
)

// Images are the open images, in the order of their opening.
func (s *Session) Images() []*Image { return s.images }

// Named is the image of that name, nil if there is none.
func (s *Session) Named(name string) *Image { return s.byName[name] }

// enlist adds an image that was opened, which is the current one from then on.
func (s *Session) enlist(im *Image) {
	s.images = append(s.images, im)
	s.byName[im.Name] = im
	if im.holds {
		s.holding++
	}
	s.current = im
}

// delist takes out an image that was closed. If it was the current one, that which was opened last
// is.
func (s *Session) delist(im *Image) {
	at := slices.Index(s.images, im)
	s.images = slices.Delete(s.images, at, at+1)
	delete(s.byName, im.Name)
	if im.holds {
		s.holding--
	}
	if s.current != im {
		return
	}
	s.current = nil
	if last := len(s.images) - 1; last >= 0 {
		s.current = s.images[last]
	}
}

// Use makes an image the current one.
func (s *Session) Use(im *Image) { s.current = im }

// InFlight is how many requests of the image are in the background.
func (im *Image) InFlight() int { return im.flying }

// Describe tells what the image is.
func (im *Image) Describe() event.Image {
	e := event.Image{
		Name: im.Name, Path: im.path, Format: im.Dev.Info().Driver, Size: im.Dev.Size(),
		ReadOnly: im.Dev.ReadOnly(),
		Snapshot: im.snapshot,
	}
	if chain := im.Dev.Chain(); len(chain) > 1 {
		e.Backing = chain[1:]
	}
	return e
}

// imageName is what an image is called that is opened like this, "" where there can be only one.
func (s *Session) imageName(o Opening) (string, error) {
	switch {
	case !s.Policy.Several && s.current == nil:
		return "", nil
	case s.current != nil && (o.As == "" || !s.Policy.Several):
		return "", event.Fail(event.FileOpen{})
	case o.As != "" && !Nameable(o.As):
		return "", event.Conflictf("the name of an image is a word of letters, digits and signs")
	case s.Named(o.As) != nil:
		return "", event.Conflictf("another image is called %s", o.As)
	case o.As != "":
		return o.As, nil
	}
	name := usualName(o)
	for n := 2; s.Named(name) != nil; n++ {
		base, _, _ := strings.Cut(name, "#")
		name = fmt.Sprintf("%s#%d", base, n)
	}
	return name, nil
}

// usualName is what an image is called if nobody gives it a name: that of its file or, where it has
// none, that of its driver.
func usualName(o Opening) string {
	name := filepath.Base(o.Name)
	switch driver, _, hasPrefix := strings.Cut(o.Name, ":"); {
	case o.Unnamed && o.Options != nil:
		name = o.Options.String("driver")
		if path := cmp.Or(o.Options.String("filename"),
			o.Options.String("file.filename")); path != "" {
			name = filepath.Base(path)
		}
	case hasPrefix && driver != "json" && !strings.ContainsFunc(driver, notOfScheme):
		name = driver
	case strings.ContainsAny(o.Name, "{:"):
		name = ""
	}
	if !Nameable(name) || name == "." {
		return "image"
	}
	return name
}

// notOfScheme says whether a letter is none that the prefix of a protocol has.
func notOfScheme(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '+'
}

// longestName bounds the name of an image, in bytes: it is part of the prompt.
const longestName = 64

// Nameable says whether an image can be called like that.
func Nameable(name string) bool {
	return name != "" && len(name) <= longestName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name,
			func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}
