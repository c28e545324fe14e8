// Package password keeps passwords so that who reads them in the store does not know them: argon2id hashes in the PHC string format, and bcrypt ones that
// came from elsewhere.
//
// In comes what a hash is and how it is checked. Which password belongs to whom, and what it must be like, is known to who keeps it.
package password

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/core/fault"
)

// What a new hash costs: the second of OWASP's recommendations for argon2id, in KiB, passes and threads.
const (
	memory  = 19 << 10
	passes  = 2
	threads = 1
)

// What a kept hash may cost at most: one that came from elsewhere must not take all memory or time.
const (
	maxMemory  = 64 << 10
	maxPasses  = 10
	maxThreads = 8
	maxCost    = 14 // of bcrypt
)

// Sizes in bytes.
const (
	saltSize = 16
	keySize  = 32
	maxSize  = 64

	// MaxPassword is what a password has at most. Longer ones would only be work.
	MaxPassword = 1024
)

// A Hasher hashes and checks passwords, as many at once as there are processors: each takes its memory for its time, and a flood of them waits in line.
type Hasher struct {
	turns chan struct{}
}

// New makes a Hasher. There should be one in a process.
func New() *Hasher {
	return &Hasher{turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// turn waits for a turn, until ctx ends: then the error is unavailable.
func (h *Hasher) turn(ctx context.Context) error {
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("too many passwords are being checked at the moment: %w: %w", fault.Unavailable, ctx.Err())
	}
}

// Hash makes a hash of a password, which no other call will make again. It waits for its turn until ctx ends (unavailable). A password that is
// too long is invalid.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxPassword {
		return "", fmt.Errorf("a password has at most %d bytes: %w", MaxPassword, fault.Invalid)
	}
	if err := h.turn(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.turns }()
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, passes, memory, threads, keySize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads, encoding.EncodeToString(salt), encoding.EncodeToString(key)), nil
}

var encoding = base64.RawStdEncoding

// Verify reports whether the hash is one of the password, and whether it should be made anew because Hash would make another kind. It waits for its
// turn until ctx ends (unavailable). What is no hash, or one that costs more than is borne, is an error: nobody gets in with it.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	if len(password) > MaxPassword {
		return false, false, nil
	}
	if strings.HasPrefix(hash, "$argon2id$") {
		kept, err := parse(hash)
		if err != nil {
			return false, false, err
		}
		if err := h.turn(ctx); err != nil {
			return false, false, err
		}
		defer func() { <-h.turns }()
		key := argon2.IDKey([]byte(password), kept.salt, kept.passes, kept.memory, kept.threads, uint32(len(kept.key)))
		return subtle.ConstantTimeCompare(key, kept.key) == 1, kept.memory != memory || kept.passes != passes || kept.threads != threads, nil
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || cost > maxCost {
		return false, false, fmt.Errorf("what is kept is no hash of a password that can be checked: argon2id, or bcrypt with a cost of %d at most: %w", maxCost, fault.Invalid)
	}
	if err := h.turn(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.turns }()
	return isBcrypt(hash, password)
}

// isBcrypt cuts the password where every other bcrypt does, and this one refuses.
func isBcrypt(hash, password string) (ok, stale bool, err error) {
	const most = 72
	plain := []byte(password)
	plain = plain[:min(len(plain), most)]
	if bytes.IndexByte(plain, 0) >= 0 {
		return false, false, nil
	}
	err = bcrypt.CompareHashAndPassword([]byte(hash), plain)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, false, nil
	}
	return err == nil, err == nil, err
}

type argon struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// parse reads a hash in the PHC string format.
func parse(hash string) (argon, error) {
	bad := fmt.Errorf("what is kept is no argon2id hash that can be checked: %w", fault.Invalid)
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || len(hash) > 512 || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argon{}, bad
	}
	var a argon
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.passes, &a.threads); err != nil || n != 3 || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", a.memory, a.passes, a.threads) {
		return argon{}, bad
	}
	if a.memory < 8 || a.memory > maxMemory || a.passes < 1 || a.passes > maxPasses || a.threads < 1 || a.threads > maxThreads {
		return argon{}, bad
	}
	var errSalt, errKey error
	a.salt, errSalt = encoding.DecodeString(parts[4])
	a.key, errKey = encoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(a.salt) < 8 || len(a.salt) > maxSize || len(a.key) < 16 || len(a.key) > maxSize {
		return argon{}, bad
	}
	return a, nil
}
