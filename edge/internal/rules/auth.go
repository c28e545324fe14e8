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
	"maps"
	"runtime"
	"slices"
	"strings"
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
	key       [32]byte
	users     map[string]*credential
	decoy     *credential // checked for unknown users, so that time doesn't tell which ones exist
	gate      *gate
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
	_, _ = rand.Read(a.key[:]) // never fails
	for _, name := range slices.Sorted(maps.Keys(users)) {
		c := &credential{}
		if isBcrypt(users[name]) {
			c.bcrypt = []byte(users[name])
		} else {
			c.sum = a.keyed([]byte(users[name]))
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
	var room [256]byte
	user, password, ok := credentials(room[:0], x.Fields.Get("Authorization"))
	if ok {
		switch err := a.verify(x.Context(), user, password); {
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

func (a *auth) verify(ctx context.Context, user, password []byte) error {
	c, known := a.users[string(user)]
	if !known {
		c = a.decoy
	}
	sum := a.keyed(password)
	right := false
	if c.bcrypt == nil {
		right = subtle.ConstantTimeCompare(sum[:], c.sum[:]) == 1
	} else if passed := c.passed.Load(); known && passed != nil && subtle.ConstantTimeCompare(sum[:], passed[:]) == 1 {
		right = true
	} else {
		if err := a.gate.enter(ctx); err != nil {
			return err
		}
		right = bcrypt.CompareHashAndPassword(c.bcrypt, password) == nil
		a.gate.leave()
		if right && known {
			c.passed.Store(&sum)
		}
	}
	if !right || !known {
		return errWrong
	}
	return nil
}

func (a *auth) keyed(password []byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, a.key[:])
	h.Write(password)
	h.Sum(sum[:0])
	return sum
}

// credentials reads the name and password in an Authorization field, decoding them into room if they fit.
func credentials(room []byte, field string) (user, password []byte, ok bool) {
	const scheme = "Basic "
	if len(field) < len(scheme) || !strings.EqualFold(field[:len(scheme)], scheme) {
		return nil, nil, false
	}
	decoded, err := base64.StdEncoding.AppendDecode(room, []byte(strings.Trim(field[len(scheme):], " ")))
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(decoded, []byte(":"))
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
