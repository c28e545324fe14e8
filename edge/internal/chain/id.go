package chain

import (
	"math/rand/v2"

	"github.com/onehost/edge/edge/internal/exchange"
)

// alphabet is Crockford's base 32 in lower case: no letter that is taken for a digit.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// newID returns a request id: 128 random bits in 26 characters. The generator is the runtime's ChaCha8, one for each
// thread, so that ids are unique across restarts and hosts, can't be guessed from one another, and cost no lock.
func newID() string {
	id := randomID()
	return string(id[:])
}

// idFor is newID for an exchange. Over HTTP/1 it is a string of the exchange's own; the libraries of HTTP/2 and HTTP/3 keep what
// an answer says longer than that, the former for the connection's whole life (RFC 7541, section 2.3.2).
func idFor(x *exchange.Exchange) string {
	if x.Protocol == exchange.HTTP11 || x.Protocol == exchange.HTTP10 {
		id := randomID()
		return x.Text(id[:])
	}
	return newID()
}

func randomID() (id [26]byte) {
	low, high := rand.Uint64(), rand.Uint64()
	for i := range 13 {
		id[i], id[i+13] = alphabet[low&31], alphabet[high&31]
		low >>= 5
		high >>= 5
	}
	return id
}

// maxID is how many bytes an id from a trusted proxy may have.
const maxID = 128

// validID reports whether an id that a trusted proxy sent may be used as ours: printable ASCII without spaces.
func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
