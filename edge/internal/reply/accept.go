package reply

import (
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// prefersHTML reports whether Accept (RFC 9110, section 12.5.1) asks for a page rather than for a problem document.
// A page has to be asked for by name (text/html, text/*): "*/*" alone, or no Accept at all, is a program.
// Of equal qualities the media type that was named more exactly wins; then the program's does.
func prefersHTML(fields exchange.Fields) bool {
	var html, data preference
	for i := range fields {
		if !exchange.EqualName(fields[i].Name, "Accept") {
			continue
		}
		for rest, more := fields[i].Value, true; more; {
			var element string
			element, rest, more = strings.Cut(rest, ",")
			media, parameters, _ := strings.Cut(element, ";")
			q := quality(parameters)
			switch media = strings.Trim(media, " \t"); {
			case exchange.EqualName(media, "text/html"):
				html.take(q, 3)
			case exchange.EqualName(media, "text/*"):
				html.take(q, 2)
			case exchange.EqualName(media, "application/problem+json"), exchange.EqualName(media, "application/json"):
				data.take(q, 3)
			case exchange.EqualName(media, "application/*"):
				data.take(q, 2)
			case media == "*/*":
				data.take(q, 1)
			}
		}
	}
	return html.quality > 0 && (html.quality > data.quality || html.quality == data.quality && html.exact > data.exact)
}

// preference is how much a form is wanted: its quality in thousandths, and how exactly it was named.
type preference struct{ quality, exact int }

// take keeps the quality of the most exact name, as RFC 9110 says; of equally exact ones the highest.
func (p *preference) take(quality, exact int) {
	if exact > p.exact || exact == p.exact && quality > p.quality {
		p.quality, p.exact = quality, exact
	}
}

// quality reads the weight among the parameters of an element (RFC 9110, section 12.4.2) in thousandths.
// What is not a weight is taken as none: 1000.
func quality(parameters string) int {
	for parameters != "" {
		var parameter string
		parameter, parameters, _ = strings.Cut(parameters, ";")
		parameter = strings.Trim(parameter, " \t")
		if len(parameter) < 3 || parameter[0]|0x20 != 'q' || parameter[1] != '=' {
			continue
		}
		return thousandths(parameter[2:])
	}
	return 1000
}

func thousandths(s string) int {
	if s[0] != '0' {
		return 1000
	}
	n, unit := 0, 100
	for i := 2; i < len(s) && s[1] == '.' && unit > 0; i++ {
		if s[i] < '0' || s[i] > '9' {
			return 1000
		}
		n += int(s[i]-'0') * unit
		unit /= 10
	}
	return n
}
