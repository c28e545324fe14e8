package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"
)

// newDiscord returns the scheme of Discord: an ed25519 signature of the time and the body.
// https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint-validating-security-request-headers
func newDiscord(secrets []string, tolerance time.Duration) (scheme, error) {
	keys := make([]key, 0, len(secrets))
	for _, secret := range secrets {
		b, err := hex.DecodeString(secret)
		if err != nil || len(b) != ed25519.PublicKeySize {
			return nil, errors.New("the secret of discord is the application's public key: 32 bytes in hexadecimal, which are 64 characters")
		}
		keys = append(keys, edKey(b))
	}
	if len(keys) == 0 {
		return nil, errors.New("the application's public key is missing")
	}
	return newSigned(keys, tolerance, func(r *Request, c *claim) error {
		return readStamped(r, c, "X-Signature-Timestamp", "X-Signature-Ed25519", inHex, '{')
	}), nil
}

// newSendGrid returns the scheme of SendGrid's event webhook: an ECDSA signature of the time and the body.
// https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
func newSendGrid(secrets []string, tolerance time.Duration) (scheme, error) {
	keys := make([]key, 0, len(secrets))
	for _, secret := range secrets {
		der, err := base64.StdEncoding.DecodeString(secret)
		if err != nil {
			return nil, errors.New("the secret of sendgrid is the verification key, in Base64, as its settings show it")
		}
		parsed, err := x509.ParsePKIXPublicKey(der)
		public, ok := parsed.(*ecdsa.PublicKey)
		if err != nil || !ok || public.Curve != elliptic.P256() {
			return nil, errors.New("the secret of sendgrid is a public key of the curve P-256, in Base64")
		}
		keys = append(keys, ecKey{public})
	}
	if len(keys) == 0 {
		return nil, errors.New("the verification key is missing")
	}
	return newSigned(keys, tolerance, func(r *Request, c *claim) error {
		return readStamped(r, c, "X-Twilio-Email-Event-Webhook-Timestamp", "X-Twilio-Email-Event-Webhook-Signature", inBase64, '[')
	}), nil
}

// readStamped takes a time and a signature of both. Nothing is between time and body, so a body that began with a digit would make another time of it.
func readStamped(r *Request, c *claim, timeName, signatureName string, in encoding, begins byte) error {
	value, err := field(r.Header, signatureName)
	if err != nil {
		return err
	}
	stamp, err := field(r.Header, timeName)
	if err != nil {
		return err
	}
	at, err := unix(stamp, timeName)
	if err != nil {
		return err
	}
	if len(r.Body) == 0 || r.Body[0] != begins {
		return refuse(Malformed, "the body does not begin with %c", begins)
	}
	c.at(at)
	c.before = append(c.before, stamp...)
	if err := c.add(value, in, true); err != nil {
		return err
	}
	if c.cut {
		return refuse(Malformed, "the signature in %s is not in %s", signatureName, in)
	}
	return nil
}
