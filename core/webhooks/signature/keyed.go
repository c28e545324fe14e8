package signature

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"time"
)

// newKeyed returns one of the providers that sign with HMAC-SHA256 and the secret as it is written.
func newKeyed(provider string, secrets []string, tolerance time.Duration) (scheme, error) {
	keys := make([]key, 0, len(secrets))
	for _, secret := range secrets {
		if secret == "" {
			return nil, errors.New("the secret is empty")
		}
		if provider == "stripe" && (strings.HasPrefix(secret, "sk_") || strings.HasPrefix(secret, "rk_") || strings.HasPrefix(secret, "pk_")) {
			return nil, errors.New("this is a key of Stripe's API; the secret of a webhook endpoint begins with whsec_")
		}
		keys = append(keys, newMACKey(sha256.New, []byte(secret)))
	}
	if len(keys) == 0 {
		return nil, errors.New("a secret is missing")
	}
	return newSigned(keys, tolerance, readers()[provider]), nil
}

// readers are what differs from provider to provider.
func readers() map[string]func(*Request, *claim) error {
	return map[string]func(*Request, *claim) error{
		"stripe": readStripe, "github": readGitHub, "slack": readSlack, "shopify": readShopify,
		"linear": readLinear, "paddle": readPaddle, "x": readX, "meta": readMeta,
	}
}

// readStripe takes t=…,v1=…[,v1=…][,v0=…]; v0 is of tests, and counts for nothing.
// https://docs.stripe.com/webhooks#verify-manually
func readStripe(r *Request, c *claim) error {
	return readPairs(r, c, "Stripe-Signature", ",", "t", "v1", ".")
}

// readPaddle takes ts=…;h1=…[;h1=…].
// https://developer.paddle.com/webhooks/signature-verification
func readPaddle(r *Request, c *claim) error {
	return readPairs(r, c, "Paddle-Signature", ";", "ts", "h1", ":")
}

// readPairs takes a list of names with values, of which one is the time and the others of a name are signatures.
func readPairs(r *Request, c *claim, header, between, timeName, name, joint string) error {
	value, err := field(r.Header, header)
	if err != nil {
		return err
	}
	for rest, pairs := value, 0; rest != ""; pairs++ {
		if pairs == 2*maxSignatures {
			return refuse(Malformed, "%s has too many parts", header)
		}
		var pair string
		pair, rest, _ = strings.Cut(rest, between)
		key, val, ok := strings.Cut(strings.Trim(pair, " "), "=")
		if !ok {
			return refuse(Malformed, "%s is not a list such as %s=…%s%s=…", header, timeName, between, name)
		}
		switch key {
		case timeName:
			if c.timed {
				return refuse(Malformed, "%s has two times", header)
			}
			at, err := unix(val, header)
			if err != nil {
				return err
			}
			c.at(at)
			c.before = append(append(c.before, val...), joint...)
		case name:
			if err := c.add(val, inHex, false); err != nil {
				return err
			}
		}
	}
	if !c.timed {
		return refuse(Malformed, "%s has no time %s=", header, timeName)
	}
	return nil
}

// readGitHub takes sha256=…. GitHub sends X-Hub-Signature, with SHA-1, beside it, for those that know no better.
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func readGitHub(r *Request, c *claim) error {
	if r.Header.Get("X-Hub-Signature-256") == "" && r.Header.Get("X-Hub-Signature") != "" {
		return refuse(Missing, "there is no X-Hub-Signature-256, and SHA-1 in X-Hub-Signature is not believed")
	}
	return readPrefixed(r, c, "X-Hub-Signature-256", "sha256=", inHex)
}

// readMeta takes sha256=… of the bytes as they were sent, with Unicode escaped.
// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
func readMeta(r *Request, c *claim) error {
	return readPrefixed(r, c, "X-Hub-Signature-256", "sha256=", inHex)
}

// readX takes sha256=…, in Base64. What X signs are objects; a body that is none may be one that edge signed itself as the answer to a look (see crc).
// https://docs.x.com/x-api/webhooks/introduction
func readX(r *Request, c *claim) error {
	if body := bytes.TrimLeft(r.Body, " \t\r\n"); len(body) == 0 || body[0] != '{' {
		return refuse(Malformed, "the body is no JSON object")
	}
	return readPrefixed(r, c, "X-Twitter-Webhooks-Signature", "sha256=", inBase64)
}

// readShopify takes Base64; webhooks have names with X-, events have them without.
// https://shopify.dev/docs/apps/build/webhooks/subscribe/https
func readShopify(r *Request, c *claim) error {
	name := "X-Shopify-Hmac-Sha256"
	if len(r.Header[name]) == 0 && len(r.Header["Shopify-Hmac-Sha256"]) > 0 {
		name = "Shopify-Hmac-Sha256"
	}
	return readPrefixed(r, c, name, "", inBase64)
}

func readPrefixed(r *Request, c *claim, header, prefix string, in encoding) error {
	value, err := field(r.Header, header)
	if err != nil {
		return err
	}
	text, ok := strings.CutPrefix(value, prefix)
	if !ok {
		return refuse(Malformed, "%s does not begin with %s", header, prefix)
	}
	if err := c.add(text, in, false); err != nil {
		return err
	}
	if c.cut {
		return refuse(Malformed, "the signature in %s is not in %s", header, in)
	}
	return nil
}

// readSlack takes v0=… over v0:TIME:BODY.
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func readSlack(r *Request, c *claim) error {
	const header = "X-Slack-Request-Timestamp"
	stamp, err := field(r.Header, header)
	if err != nil {
		return err
	}
	at, err := unix(stamp, header)
	if err != nil {
		return err
	}
	c.at(at)
	c.before = append(append(append(c.before, "v0:"...), stamp...), ':')
	return readPrefixed(r, c, "X-Slack-Signature", "v0=", inHex)
}

// readLinear takes hex over the body, which has the time in it; the one in Linear-Timestamp is not signed.
// https://linear.app/developers/webhooks#securing-webhooks
func readLinear(r *Request, c *claim) error {
	stamp := ""
	err := look(r.Body, [][]string{{"webhookTimestamp"}}, func(_ int, raw []byte) error {
		stamp = string(raw)
		return nil
	})
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	ms, err := strconv.ParseUint(stamp, 10, 63)
	if err != nil || len(stamp) > 15 {
		return refuse(Malformed, "the body has no webhookTimestamp in milliseconds since 1970")
	}
	c.at(time.UnixMilli(int64(ms)))
	return readPrefixed(r, c, "Linear-Signature", "", inHex)
}
