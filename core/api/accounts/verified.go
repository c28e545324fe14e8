package accounts

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxVerified is how many tokens are remembered at least; twice as many at most, in about 1 MiB.
const maxVerified = 2048

// verified remembers the JWTs that were found to be good, so that their bytes are not taken apart at each request: that costs as much as one of its two
// reads. Whether the user and the session are still there is asked every time.
type verified struct {
	mu            sync.RWMutex
	young, before map[[sha256.Size]byte]good
}

// good is what a token says, and how long it and its key are good.
type good struct {
	user    int64
	session string
	key     string
	expires time.Time
}

func (v *verified) get(token string) (g good, ok bool) {
	sum := sha256.Sum256([]byte(token))
	v.mu.RLock()
	defer v.mu.RUnlock()
	if g, ok = v.young[sum]; !ok {
		g, ok = v.before[sum]
	}
	return g, ok
}

func (v *verified) put(token string, g good) {
	sum := sha256.Sum256([]byte(token))
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= maxVerified || v.young == nil {
		v.young, v.before = make(map[[sha256.Size]byte]good), v.young
	}
	v.young[sum] = g
}
