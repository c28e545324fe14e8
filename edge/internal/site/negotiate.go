package site

import (
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// weights says how much a visitor wants each content coding, in thousandths: 0 not at all, -1 not named.
type weights struct {
	named [codings]int
	other int // what "*" says
}

// choose returns the variant that the visitor wants most, the smallest of several, or nil if none is acceptable
// (RFC 9110, section 12.5.3). A visitor who says nothing about codings gets the file as it is.
func choose(variants []variant, request exchange.Fields) *variant {
	plain := &variants[len(variants)-1]
	if !request.Has("Accept-Encoding") {
		return plain
	}
	w := acceptedCodings(request)
	var best *variant
	most := 0
	for i := range variants {
		if q := w.of(variants[i].coding); q > most {
			best, most = &variants[i], q
		}
	}
	return best
}

// of returns the weight of a coding in half thousandths, so that there is room for the plain file below whatever is
// named: it is acceptable without being named, but not wanted.
func (w *weights) of(c coding) int {
	q := w.named[c]
	if q < 0 {
		q = w.other
	}
	switch {
	case q >= 0:
		return 2 * q
	case c == identity:
		return 1
	}
	return 0
}

// acceptedCodings reads Accept-Encoding. Elements that are not understood are skipped.
func acceptedCodings(request exchange.Fields) weights {
	w := weights{named: [codings]int{-1, -1, -1, -1}, other: -1}
	for i := range request {
		if !exchange.EqualName(request[i].Name, "Accept-Encoding") {
			continue
		}
		for rest, more := request[i].Value, true; more; {
			var element string
			element, rest, more = strings.Cut(rest, ",")
			name, parameters, _ := strings.Cut(element, ";")
			q, ok := quality(parameters)
			if !ok {
				continue
			}
			switch name = strings.Trim(name, " \t"); {
			case name == "*":
				w.other = q
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
				w.named[gzipped] = q
			case strings.EqualFold(name, "br"):
				w.named[brotlied] = q
			case strings.EqualFold(name, "zstd"):
				w.named[zstandard] = q
			case strings.EqualFold(name, "identity"):
				w.named[identity] = q
			}
		}
	}
	return w
}

// quality returns the weight among the parameters of a list element in thousandths, 1000 if there is none
// (RFC 9110, section 12.4.2). It reports false for a weight that is not one.
func quality(parameters string) (int, bool) {
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		if name, value, _ := strings.Cut(strings.Trim(p, " \t"), "="); strings.EqualFold(name, "q") {
			return thousandths(value)
		}
	}
	return 1000, true
}

// thousandths reads 0, 1 and what is between with up to three digits after the point.
func thousandths(s string) (int, bool) {
	if s == "" || len(s) > len("0.000") || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	n := int(s[0]-'0') * 1000
	for i, scale := 2, 100; i < len(s); i, scale = i+1, scale/10 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n += int(s[i]-'0') * scale
	}
	return n, n <= 1000
}

// accepts reports whether Accept, if it was sent, takes a media type; of several ranges that match it the most specific
// one decides (RFC 9110, section 12.5.1).
func accepts(request exchange.Fields, kind, subtype string) bool {
	precision, taken, sent := 0, false, false
	for i := range request {
		if !exchange.EqualName(request[i].Name, "Accept") {
			continue
		}
		sent = true
		for rest, more := request[i].Value, true; more; {
			var element string
			element, rest, more = strings.Cut(rest, ",")
			mediaRange, parameters, _ := strings.Cut(element, ";")
			q, ok := quality(parameters)
			if p := matches(strings.Trim(mediaRange, " \t"), kind, subtype); ok && p > precision {
				precision, taken = p, q > 0
			}
		}
	}
	return taken || !sent
}

// matches says how precisely a media range names a type: 3 by its name, 2 by kind/*, 1 by */*, 0 not at all.
func matches(mediaRange, kind, subtype string) int {
	k, s, _ := strings.Cut(mediaRange, "/")
	switch {
	case k == "*" && s == "*":
		return 1
	case !strings.EqualFold(k, kind):
		return 0
	case s == "*":
		return 2
	case strings.EqualFold(s, subtype):
		return 3
	}
	return 0
}
