package signature

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"sync"
	"time"
)

const (
	maxSignatures = 16 // in one field
	maxSignature  = 80 // bytes of one: SHA-512 has 64, a DER pair of P-256 72
)

// A signed scheme has a signature of the body, with something before it and perhaps after it, in fields of the request.
type signed struct {
	keys      []key
	tolerance time.Duration
	read      func(r *Request, c *claim) error // takes the fields apart
	claims    sync.Pool                        // of *claim
}

// newSigned returns a scheme.
func newSigned(keys []key, tolerance time.Duration, read func(*Request, *claim) error) *signed {
	return &signed{keys: keys, tolerance: tolerance, read: read, claims: sync.Pool{New: func() any { return new(claim) }}}
}

// A key tells whether one of a claim's signatures was made with it.
type key interface {
	fits(c *claim, body []byte) bool
}

// A claim is what a request says of its signature.
type claim struct {
	before, after []byte // what is signed beside the body
	signed        time.Time
	timed         bool // signed is a time that the source signed

	marks [maxSignatures]mark
	n     int
	cut   bool // there were signatures that can't be any
}

// A mark is a signature.
type mark struct {
	public bool // it was made with a private key
	bytes  [maxSignature]byte
	n      int
}

func (c *claim) reset() {
	c.before, c.after, c.timed, c.n, c.cut = c.before[:0], c.after[:0], false, 0, false
}

// at sets the time that is signed.
func (c *claim) at(t time.Time) { c.signed, c.timed = t, true }

// An encoding is how bytes are written.
type encoding string

const (
	inHex       encoding = "hex"
	inBase64    encoding = "base64"
	inBase64URL encoding = "base64url"
)

// add takes a signature; what can't be one is passed over.
func (c *claim) add(text string, in encoding, public bool) error {
	if c.n == maxSignatures {
		return refuse(Malformed, "there are more than %d signatures", maxSignatures)
	}
	m := &c.marks[c.n]
	if len(text) == 0 || len(text) > 2*maxSignature {
		c.cut = true
		return nil
	}
	var source [2 * maxSignature]byte
	from := source[:copy(source[:], text)]
	var into [2 * maxSignature]byte
	n, err := in.decode(into[:], from)
	if err != nil || n == 0 || n > maxSignature {
		c.cut = true
		return nil //nolint:nilerr // another one may be good
	}
	copy(m.bytes[:], into[:n])
	m.n, m.public = n, public
	c.n++
	return nil
}

// decode is strict: nothing but the alphabet, whole, and no bits left over.
func (e encoding) decode(into, from []byte) (int, error) {
	for _, c := range from {
		if c == '\r' || c == '\n' { // encoding/base64 passes over them
			return 0, base64.CorruptInputError(0)
		}
	}
	padded := len(from) > 0 && from[len(from)-1] == '='
	switch {
	case e == inHex:
		return hex.Decode(into, from)
	case e == inBase64URL && padded:
		return base64.URLEncoding.Strict().Decode(into, from)
	case e == inBase64URL:
		return base64.RawURLEncoding.Strict().Decode(into, from)
	}
	return base64.StdEncoding.Strict().Decode(into, from)
}

// verify tries every key with every signature: how long it takes does not say which of them was near.
func (s *signed) verify(_ context.Context, r *Request) error {
	c := s.claims.Get().(*claim)
	defer s.claims.Put(c)
	c.reset()
	if err := s.read(r, c); err != nil {
		return err
	}
	if c.n == 0 {
		return refuse(Malformed, "there is no signature as the source writes it")
	}
	good := false
	for _, k := range s.keys {
		good = k.fits(c, r.Body) || good
	}
	if !good {
		return wrong(len(s.keys))
	}
	if c.timed {
		return near(c.signed, r.now(), s.tolerance, s.tolerance)
	}
	return nil
}

// wrong is what a signature is that fits none of the secrets.
func wrong(secrets int) *Refusal {
	if secrets > 1 {
		return refuse(WrongSignature, "the signature fits neither of the two secrets")
	}
	return refuse(WrongSignature, "the signature does not fit the secret")
}

// A macKey is a secret of a keyed hash.
type macKey struct {
	states sync.Pool // of *macState
}

type macState struct {
	hash.Hash
	sum []byte
}

func newMACKey(h func() hash.Hash, secret []byte) *macKey {
	return &macKey{states: sync.Pool{New: func() any {
		return &macState{Hash: hmac.New(h, secret), sum: make([]byte, 0, maxSignature)}
	}}}
}

func (k *macKey) fits(c *claim, body []byte) bool {
	s := k.states.Get().(*macState)
	defer k.states.Put(s)
	s.Reset()
	s.Write(c.before)
	s.Write(body)
	s.Write(c.after)
	s.sum = s.Sum(s.sum[:0])
	good := 0
	for i := range c.marks[:c.n] {
		if m := &c.marks[i]; !m.public {
			good |= subtle.ConstantTimeCompare(s.sum, m.bytes[:m.n])
		}
	}
	return good == 1
}

// An edKey is an ed25519 public key (RFC 8032).
type edKey ed25519.PublicKey

func (k edKey) fits(c *claim, body []byte) bool {
	message := c.message(body)
	for i := range c.marks[:c.n] {
		if m := &c.marks[i]; m.public && m.n == ed25519.SignatureSize && ed25519.Verify(ed25519.PublicKey(k), message, m.bytes[:m.n]) {
			return true
		}
	}
	return false
}

// An ecKey is an ECDSA public key, with SHA-256 and signatures in DER.
type ecKey struct{ *ecdsa.PublicKey }

func (k ecKey) fits(c *claim, body []byte) bool {
	sum := sha256.Sum256(c.message(body))
	for i := range c.marks[:c.n] {
		if m := &c.marks[i]; m.public && ecdsa.VerifyASN1(k.PublicKey, sum[:], m.bytes[:m.n]) {
			return true
		}
	}
	return false
}

// message is all that is signed.
func (c *claim) message(body []byte) []byte {
	message := make([]byte, 0, len(c.before)+len(body)+len(c.after))
	return append(append(append(message, c.before...), body...), c.after...)
}
