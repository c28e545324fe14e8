package cert

import (
	"cmp"
	"crypto/tls"
	"slices"
	"time"
)

// holding is a certificate with where it came from.
type holding struct {
	pair *tls.Certificate
	from *issuer   // nil when it stands in for one that the present issuers have not given yet
	kept time.Time // since when
}

// better reports whether h is rather served than o: while one is good and the other is not, or not for long any more, that
// one; a CA's rather than the local one's; the one that came last. (That is not always the one that begins last.)
func (h *holding) better(o *holding, now time.Time) bool {
	if o == nil {
		return true
	}
	order := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return 1
		}
		return -1
	}
	return cmp.Or(
		order(isValid(h.pair.Leaf, now), isValid(o.pair.Leaf, now)),
		order(now.Before(renewalOf(h.pair.Leaf).at), now.Before(renewalOf(o.pair.Leaf).at)),
		order(h.from.acme != nil, o.from.acme != nil),
		h.kept.Compare(o.kept),
	) > 0
}

// replaces reports whether h, the best of what is kept, takes the place of what is served. What only stands in stays while
// it is good and h is not.
func (h *holding) replaces(served *holding, now time.Time) bool {
	switch {
	case served == nil:
		return true
	case served.from == nil:
		return isValid(h.pair.Leaf, now) || !isValid(served.pair.Leaf, now)
	}
	return !slices.Equal(served.pair.Certificate[0], h.pair.Certificate[0])
}
