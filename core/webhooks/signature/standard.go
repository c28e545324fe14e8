package signature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

// newStandard returns the scheme of Standard Webhooks, which Svix has, too, with names of its own.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func newStandard(secrets []string, tolerance time.Duration) (scheme, error) {
	keys := make([]key, 0, len(secrets))
	for _, secret := range secrets {
		k, err := standardKey(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("a secret is missing")
	}
	return newSigned(keys, tolerance, readStandard), nil
}

// standardKey reads whsec_ and Base64, Base64 alone, or whpk_ and the Base64 of a public key.
func standardKey(secret string) (key, error) {
	if strings.HasPrefix(secret, "whsk_") {
		return nil, errors.New("whsk_… is the key that the source signs with, and nobody else should have; edge needs whpk_…")
	}
	if text, ok := strings.CutPrefix(secret, "whpk_"); ok {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) != ed25519.PublicKeySize {
			return nil, errors.New("whpk_ is followed by the 32 bytes of a public key in Base64")
		}
		return edKey(b), nil
	}
	text := strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "=")
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, errors.New("the secret is whsec_ and Base64, as the source shows it")
	}
	return newMACKey(sha256.New, b), nil
}

// standardFields are the fields of a delivery: those of Standard Webhooks, or Svix's own names where only these have a signature.
func standardFields(h http.Header) (id, stamp, signature string) {
	if len(h["Webhook-Signature"]) == 0 && len(h["Svix-Signature"]) > 0 {
		return "Svix-Id", "Svix-Timestamp", "Svix-Signature"
	}
	return "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"
}

// readStandard takes v1,… and v1a,… with spaces between, over ID.TIME.BODY.
func readStandard(r *Request, c *claim) error {
	idName, timeName, signatureName := standardFields(r.Header)
	id, err := field(r.Header, idName)
	if err != nil {
		return err
	}
	if strings.Contains(id, ".") { // or the end of an id could be taken for the time, and the time for the beginning of the body
		return refuse(Malformed, "%s has a dot in it", idName)
	}
	stamp, err := field(r.Header, timeName)
	if err != nil {
		return err
	}
	at, err := unix(stamp, timeName)
	if err != nil {
		return err
	}
	c.at(at)
	c.before = append(append(append(append(c.before, id...), '.'), stamp...), '.')
	value, err := field(r.Header, signatureName)
	if err != nil {
		return err
	}
	for rest, parts := value, 0; rest != ""; parts++ {
		if parts == 2*maxSignatures {
			return refuse(Malformed, "%s has too many parts", signatureName)
		}
		var part string
		part, rest, _ = strings.Cut(rest, " ")
		version, text, ok := strings.Cut(part, ",")
		if !ok && part != "" {
			return refuse(Malformed, "%s is not a list such as v1,… v1,…", signatureName)
		}
		if version == "v1" || version == "v1a" {
			if err := c.add(text, inBase64, version == "v1a"); err != nil {
				return err
			}
		}
	}
	return nil
}
