package report

import "github.com/blksh/blksh/commands/event"

// pictures shows what can be drawn of events, and returns the others.
func (p *page) pictures(events []event.Event) []event.Event {
	var others []event.Event
	for _, e := range events {
		switch e := e.(type) {
		case event.Drawing:
			p.raw("<section>\n")
			p.Write(e.SVG("the range in cells"))
			p.raw("</section>\n")
		case event.Drawn: // it is on the page
		default:
			others = append(others, e)
		}
	}
	return others
}
