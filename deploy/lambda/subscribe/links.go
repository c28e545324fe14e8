package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// What links are for, which is also the last segment of their path.
const (
	purposeConfirm     = "confirm"
	purposeUnsubscribe = "unsubscribe"
)

// maxToken is in bytes; the longest address makes fewer.
const maxToken = 1024

// links makes and reads signed links: BASE/PURPOSE?token=CLAIM.SIGNATURE, both base64url. The signature is HMAC-SHA256 of the purpose,
// a zero byte and the claim's bytes, so that a link is good for nothing but its purpose.
type links struct {
	base string
	key  []byte
}

// claim is what a link says. Times are in milliseconds of Unix time.
type claim struct {
	Address string `json:"a"` // as [address.Address.ID] has it
	Issued  int64  `json:"i"`
	Expires int64  `json:"e,omitempty"` // 0 for never: who wants no more mail may say so at any time
}

var (
	errLink    = errors.New("the link is not one of ours")
	errExpired = errors.New("the link has expired")
)

func (l links) url(purpose, token string) string { return l.base + "/" + purpose + "?token=" + token }

func (l links) token(purpose string, c claim) string {
	text, _ := json.Marshal(c) // a string and two numbers always become JSON
	return base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(l.sign(purpose, text))
}

func (l links) read(purpose, token string, now time.Time) (claim, error) {
	first, second, ok := strings.Cut(token, ".")
	if !ok || len(token) > maxToken {
		return claim{}, errLink
	}
	strict := base64.RawURLEncoding.Strict()
	text, errText := strict.DecodeString(first)
	signature, errSignature := strict.DecodeString(second)
	if errText != nil || errSignature != nil || !hmac.Equal(signature, l.sign(purpose, text)) {
		return claim{}, errLink
	}
	var c claim
	if err := json.Unmarshal(text, &c); err != nil || c.Address == "" {
		return claim{}, errLink
	}
	if c.Expires != 0 && now.UnixMilli() >= c.Expires {
		return claim{}, errExpired
	}
	return c, nil
}

func (l links) sign(purpose string, text []byte) []byte {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write(text)
	return mac.Sum(nil)
}
