package chain

import "math/rand/v2"

// alphabet is Crockford's base 32 in lower case: no letter that is taken for a digit.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// newID returns a request id: 128 random bits in 26 characters. The generator is the runtime's ChaCha8, one for each
// thread, so that ids are unique across restarts and hosts, can't be guessed from one another, and cost no lock.
func newID() [26]byte {
	var id [26]byte
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
