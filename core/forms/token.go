package forms

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// tokenField is the form's field that carries the page's token.
const tokenField = "_token"

// A page's token says that edge gave it out for this form, and when. It proves that somebody asked for a page before sending, and let time pass;
// no more. A program can fetch one and wait as well: that costs it a second request, which is counted by address, and min_fill. Who
// has to know that it is a person needs a captcha. In return a visitor needs neither a cookie nor a script, and edge keeps nothing.
//
// Its nonce is the submission's idempotency key unless the request has one: a button that is pressed twice sends once.
type token struct {
	kind   tokenKind
	issued time.Time
	nonce  [16]byte
}

// A tokenKind is how a token was given out.
type tokenKind byte

const (
	fetched tokenKind = 1 // by GET …/NAME/token, while the visitor filled the form in
	onPage  tokenKind = 2 // on a page of edge's own, after it
)

const (
	tokenPlain = 1 + 8 + 16
	tokenSize  = tokenPlain + sha256.Size
	clockSkew  = time.Minute // between hosts that share a key
)

// tokens signs and reads the tokens of all forms.
type tokens struct{ key []byte }

// newTokens derives its key from one that may have other uses.
func newTokens(key []byte) (tokens, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "edge forms: page token 1", sha256.Size)
	return tokens{derived}, err
}

func (t tokens) issue(form string, kind tokenKind, now time.Time) string {
	b := make([]byte, tokenPlain, tokenSize)
	b[0] = byte(kind)
	binary.BigEndian.PutUint64(b[1:], uint64(now.UnixMilli()))
	_, _ = rand.Read(b[9:]) // never fails
	return base64.RawURLEncoding.EncodeToString(t.sign(b, form))
}

// sign appends the signature of b for a form.
func (t tokens) sign(b []byte, form string) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write(b[:tokenPlain])
	mac.Write([]byte(form))
	return mac.Sum(b[:tokenPlain])
}

// read returns the token that text is, if it is one of this form's, and was not given out longer ago than maxAge.
func (t tokens) read(text, form string, now time.Time, maxAge time.Duration) (token, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return token{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || !hmac.Equal(b, t.sign(append(make([]byte, 0, tokenSize), b[:tokenPlain]...), form)) {
		return token{}, false
	}
	read := token{kind: tokenKind(b[0]), issued: time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:]))), nonce: [16]byte(b[9:tokenPlain])}
	age := now.Sub(read.issued)
	return read, age >= -clockSkew && age <= maxAge
}
