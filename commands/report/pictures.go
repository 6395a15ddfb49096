package report

import (
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify/latency"
)

// pictures shows what can be drawn of events, and returns those that have more to say.
func (p *page) pictures(events []event.Event) []event.Event {
	var others []event.Event
	for _, e := range events {
		switch e := e.(type) {
		case event.Drawing:
			p.raw("<section>\n")
			p.Write(e.SVG("the range in cells"))
			p.raw("</section>\n")
			continue
		case event.Drawn: // it is on the page
			continue
		case event.Load:
			title := "Latency of " + e.Mode
			if e.Run > 0 {
				title += fmt.Sprintf(", run %d", e.Run)
			}
			p.histogram(title, e.Latency.Bars)
		case event.Performance:
			for _, phase := range e.All {
				p.histogram(fmt.Sprintf("Latency of group %d, %s", e.Group, phase.Phase),
					phase.Latency.Bars)
			}
		}
		others = append(others, e)
	}
	return others
}

// Measures of a histogram in pixels: a row, the columns of times and of shares, the longest bar.
const (
	rowHeight    = 18
	timeColumn   = 110
	shareColumn  = 70
	longestBar   = 420
	histogramTop = 4
)

// histogram draws how many requests took how long, a bar for each power of two.
func (p *page) histogram(title string, bars []latency.Bar) {
	most, all := int64(1), int64(0)
	for _, b := range bars {
		most, all = max(most, b.Count), all+b.Count
	}
	if all == 0 {
		return
	}
	width, height := timeColumn+longestBar+shareColumn, len(bars)*rowHeight+2*histogramTop
	p.raw("<section>\n")
	p.element("h2", "", title)
	fmt.Fprintf(p, "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", width,
		height, width, height)
	p.element("title", "", title)
	for i, b := range bars {
		y := histogramTop + i*rowHeight
		length := float64(b.Count) * longestBar / float64(most)
		fmt.Fprintf(p, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"end\">up to %s</text>\n",
			timeColumn-8, y+rowHeight-5, units.Time(b.UpTo+1))
		fmt.Fprintf(p, "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\">"+
			"<title>%s</title></rect>\n", timeColumn, y+2, length, rowHeight-4,
			units.Count(b.Count, "request"))
		fmt.Fprintf(p, "<text class=\"axis\" x=\"%.1f\" y=\"%d\">%.2f%%</text>\n",
			timeColumn+length+6, y+rowHeight-5, 100*float64(b.Count)/float64(all))
	}
	p.raw("</svg>\n</section>\n")
}
