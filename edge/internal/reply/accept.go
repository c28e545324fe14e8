package reply

import "github.com/onehost/edge/edge/internal/exchange"

// prefersHTML reports whether Accept (RFC 9110, section 12.5.1) asks for a page rather than for a problem document.
// A page has to be asked for by name (text/html, text/*): "*/*" alone, or no Accept at all, is a program.
// Of equal weights the media type that was named more exactly wins; then the program's does.
func prefersHTML(fields exchange.Fields) bool {
	var html, data preference
	for media, weight := range fields.Weighted("Accept") {
		switch {
		case exchange.EqualName(media, "text/html"):
			html.take(weight, 3)
		case exchange.EqualName(media, "text/*"):
			html.take(weight, 2)
		case exchange.EqualName(media, "application/problem+json"), exchange.EqualName(media, "application/json"):
			data.take(weight, 3)
		case exchange.EqualName(media, "application/*"):
			data.take(weight, 2)
		case media == "*/*":
			data.take(weight, 1)
		}
	}
	return html.weight > 0 && (html.weight > data.weight || html.weight == data.weight && html.exact > data.exact)
}

// preference is how much a form is wanted: its weight in thousandths, and how exactly it was named.
type preference struct{ weight, exact int }

// take keeps the weight of the most exact name, as RFC 9110 says; of equally exact ones the highest.
func (p *preference) take(weight, exact int) {
	if exact > p.exact || exact == p.exact && weight > p.weight {
		p.weight, p.exact = weight, exact
	}
}
