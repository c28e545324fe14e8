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
func choose(variants []variant, q *question) *variant {
	plain := &variants[len(variants)-1]
	if q.codings == nil {
		return plain
	}
	w, usual := usualCodings(*q.codings)
	if !usual || q.moreCodings {
		w = acceptedCodings(q.fields)
	}
	var best *variant
	most := 0
	for i := range variants {
		if q := w.of(variants[i].coding); q > most {
			best, most = &variants[i], q
		}
	}
	return best
}

// usualCodings knows what browsers say by heart: to read it takes as long as all the rest of a usual answer.
func usualCodings(value string) (weights, bool) {
	w := weights{named: [codings]int{identity: -1, gzipped: 1000, brotlied: 1000, zstandard: -1}, other: -1}
	switch value {
	case "gzip, deflate, br, zstd":
		w.named[zstandard] = 1000
		return w, true
	case "gzip, deflate, br":
		return w, true
	}
	return w, false
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
	for name, q := range request.Weighted("Accept-Encoding") {
		switch {
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
	return w
}

// accepts reports whether Accept, if it was sent, takes a media type; of several ranges that match it the most specific
// one decides (RFC 9110, section 12.5.1).
func accepts(request exchange.Fields, kind, subtype string) bool {
	precision, taken := 0, false
	for mediaRange, q := range request.Weighted("Accept") {
		if p := matches(mediaRange, kind, subtype); p > precision {
			precision, taken = p, q > 0
		}
		if precision == byName {
			return taken
		}
	}
	return taken || !request.Has("Accept")
}

// byName is how precisely a media range that has no "*" names a type.
const byName = 3

// matches says how precisely a media range names a type: byName by its own name, 2 by kind/*, 1 by */*, 0 not at all.
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
		return byName
	}
	return 0
}
