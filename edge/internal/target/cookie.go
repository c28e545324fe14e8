package target

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
)

// A tag is what a cookie calls a target: it can't be told from it where the target is.
type tag [8]byte

// stickiness is a group's setting.
type stickiness struct {
	name string
	life time.Duration
}

func newStickiness(c *config.Stickiness) *stickiness {
	if c == nil {
		return nil
	}
	return &stickiness{name: c.Cookie, life: c.For}
}

// A cookie's value is, in base64url: the tag of the target (8 bytes), when the cookie expires (Unix seconds, 8 bytes),
// and a MAC over these (16 bytes of HMAC-SHA256). The tag is a MAC of the group's and the target's name.
const (
	signedLen = 16
	macLen    = 16
	rawLen    = signedLen + macLen
	cookieLen = (rawLen*8 + 5) / 6
)

// cookies seals and opens stickiness cookies.
type cookies struct {
	seals sync.Pool // of *seal: an HMAC and the memory to use it without allocating
}

type seal struct {
	mac  hash.Hash
	text [cookieLen]byte
	raw  [rawLen]byte
	sum  [sha256.Size]byte
}

func newCookies(key []byte) *cookies {
	return &cookies{seals: sync.Pool{New: func() any { return &seal{mac: hmac.New(sha256.New, key)} }}}
}

// sign puts the MAC of s.raw into s.sum.
func (s *seal) sign() {
	s.mac.Reset()
	s.mac.Write(s.raw[:signedLen])
	s.mac.Sum(s.sum[:0])
}

// tag returns the tag of a group's target.
func (c *cookies) tag(group, target string) tag {
	s := c.seals.Get().(*seal)
	defer c.seals.Put(s)
	s.mac.Reset()
	s.mac.Write([]byte("target\x00" + group + "\x00" + target))
	return tag(s.mac.Sum(s.sum[:0])[:len(tag{})])
}

// issue returns a cookie's value.
func (c *cookies) issue(t tag, expires time.Time) string {
	s := c.seals.Get().(*seal)
	defer c.seals.Put(s)
	copy(s.raw[:], t[:])
	binary.BigEndian.PutUint64(s.raw[len(t):], uint64(expires.Unix()))
	s.sign()
	copy(s.raw[signedLen:], s.sum[:macLen])
	base64.RawURLEncoding.Encode(s.text[:], s.raw[:])
	return string(s.text[:])
}

// open returns whom a cookie's value names and when it expires. It does not look at the clock.
func (c *cookies) open(value string) (t tag, expires time.Time, ok bool) {
	if len(value) != cookieLen {
		return tag{}, time.Time{}, false
	}
	s := c.seals.Get().(*seal)
	defer c.seals.Put(s)
	copy(s.text[:], value)
	if n, err := base64.RawURLEncoding.Strict().Decode(s.raw[:], s.text[:]); err != nil || n != rawLen {
		return tag{}, time.Time{}, false
	}
	s.sign()
	if !hmac.Equal(s.sum[:macLen], s.raw[signedLen:]) {
		return tag{}, time.Time{}, false
	}
	seconds := int64(binary.BigEndian.Uint64(s.raw[len(t):])) // issue put it there: the MAC says so
	return tag(s.raw[:len(t)]), time.Unix(seconds, 0), true
}

// stuckTo returns the target that the request's cookie names if it may still get requests, and whether the visitor
// needs a new cookie because half of this one's life is over.
func (g *Group) stuckTo(v *view, c Choice) (t *Target, renew bool) {
	if v.sticky == nil || c.Cookie == "" {
		return nil, false
	}
	name, expires, ok := g.groups.cookies.open(c.Cookie)
	if !ok {
		return nil, false
	}
	left := time.Until(expires)
	if left <= 0 {
		return nil, false
	}
	if t = v.stuck[name]; t != nil && slices.Contains(c.Tried, t) {
		t = nil
	}
	return t, left < v.sticky.life/2
}

// Remembers reports whether a cookie's value names a target of this group that can be used. It is for a choice among
// groups by weight: a visitor who is stuck to a target stays with its group.
func (g *Group) Remembers(cookie string) bool {
	t, _ := g.stuckTo(g.view.Load(), Choice{Cookie: cookie})
	return t != nil
}

// field returns the value of a Set-Cookie field.
func (s *stickiness) field(c *cookies, t tag, secure bool, now time.Time) string {
	f := s.name + "=" + c.issue(t, now.Add(s.life)) +
		"; Path=/; Max-Age=" + strconv.FormatInt(int64(s.life/time.Second), 10) + "; HttpOnly"
	if secure {
		f += "; Secure"
	}
	return f
}
