package rules

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/reply"
)

// auth asks for a name and a password (RFC 7617). Authorization goes on to the target as it came, as with nginx and Caddy;
// headers: {request: {remove: [Authorization]}} keeps it from there.
//
// A password is compared in constant time with its keyed hash. Checking one against bcrypt takes some 50 ms of a core, so the
// keyed hash of the last one that passed is kept for each user: the next request with it costs a microsecond. The key
// is random and never leaves the process. A wrong password always costs bcrypt; how many may be checked at once is
// bounded by a gate, so that guessing takes no more than half of the cores.
type auth struct {
	challenge string
	users     map[string]*credential
	decoy     *credential // checked for unknown users, so that time doesn't tell which ones exist
	gate      *gate
	hashers   sync.Pool
}

// A hasher is what reading and checking a password takes, used again so that it costs no allocation. It forgets the password.
type hasher struct {
	mac          hash.Hash // an HMAC
	text, opened [256]byte // what was sent, and decoded, if it fits
	sum          [sha256.Size]byte
}

// A credential is a password, or its bcrypt hash and what is known to pass it.
type credential struct {
	sum    [sha256.Size]byte // keyed hash of the password; without bcrypt
	bcrypt []byte
	passed atomic.Pointer[[sha256.Size]byte]
}

// newAuth makes an auth of users (name: bcrypt hash or password), of which there is at least one.
func newAuth(realm string, users map[string]string, g *gate) *auth {
	a := &auth{
		challenge: `Basic realm="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(realm) + `", charset="UTF-8"`,
		users:     make(map[string]*credential, len(users)),
		gate:      g,
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	a.hashers.New = func() any { return &hasher{mac: hmac.New(sha256.New, key[:])} }
	h := a.hashers.Get().(*hasher)
	for _, name := range slices.Sorted(maps.Keys(users)) {
		c := &credential{}
		if isBcrypt(users[name]) {
			c.bcrypt = []byte(users[name])
		} else {
			c.sum = h.keyed([]byte(users[name]))
		}
		if a.decoy == nil || a.decoy.bcrypt == nil {
			a.decoy = c
		}
		a.users[name] = c
	}
	return a
}

func isBcrypt(password string) bool { return strings.HasPrefix(password, "$2") }

// admit answers x itself, with 401 or 503, unless its name and password are right.
func (a *auth) admit(x *exchange.Exchange) bool {
	h := a.hashers.Get().(*hasher)
	defer a.hashers.Put(h)
	defer h.forget()
	if user, password, ok := h.credentials(x.Fields.Get("Authorization")); ok {
		switch err := a.verify(x, h.keyed(password), user, password); {
		case err == nil:
			return true
		case errors.Is(err, errBusy):
			x.Response.Fields.Set("Retry-After", "1")
			reply.Error(x, 503, "auth_busy")
			return false
		}
	}
	x.Response.Fields.Set("WWW-Authenticate", a.challenge)
	reply.Error(x, 401, "unauthorized")
	return false
}

var (
	errWrong = errors.New("wrong name or password")
	errBusy  = errors.New("too many passwords are being checked")
)

func (a *auth) verify(x *exchange.Exchange, sum [sha256.Size]byte, user, password []byte) error {
	c, known := a.users[string(user)]
	if !known {
		c = a.decoy
	}
	right := false
	if c.bcrypt == nil {
		right = subtle.ConstantTimeCompare(sum[:], c.sum[:]) == 1
	} else if passed := c.passed.Load(); known && passed != nil && subtle.ConstantTimeCompare(sum[:], passed[:]) == 1 {
		right = true
	} else {
		if err := a.gate.enter(x.Context()); err != nil {
			return err
		}
		right = bcrypt.CompareHashAndPassword(c.bcrypt, password) == nil
		a.gate.leave()
		if right && known {
			kept := sum
			c.passed.Store(&kept)
		}
	}
	if !right || !known {
		return errWrong
	}
	return nil
}

func (h *hasher) keyed(password []byte) [sha256.Size]byte {
	h.mac.Reset()
	h.mac.Write(password)
	h.mac.Sum(h.sum[:0])
	return h.sum
}

func (h *hasher) forget() {
	clear(h.text[:])
	clear(h.opened[:])
}

// credentials reads the name and password in an Authorization field.
func (h *hasher) credentials(field string) (user, password []byte, ok bool) {
	const scheme = "Basic "
	if len(field) < len(scheme) || !strings.EqualFold(field[:len(scheme)], scheme) {
		return nil, nil, false
	}
	text := append(h.text[:0], strings.Trim(field[len(scheme):], " ")...)
	opened, err := base64.StdEncoding.AppendDecode(h.opened[:0], text)
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(opened, []byte(":"))
}

// A gate lets few in at once and few wait, not for long.
type gate struct {
	slots chan struct{}
	queue chan struct{}
}

const (
	gateQueue = 64              // how many may wait or be inside
	gateWait  = 3 * time.Second // how long one may wait
)

func newGate() *gate {
	return &gate{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), queue: make(chan struct{}, gateQueue)}
}

func (g *gate) enter(ctx context.Context) error {
	select {
	case g.queue <- struct{}{}:
	default:
		return errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-g.queue
		return errBusy
	}
}

func (g *gate) leave() {
	<-g.slots
	<-g.queue
}
