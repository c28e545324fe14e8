package signature

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/config"
)

// Check finds what only this room can judge of the sources of webhooks: secrets that can't be keys, places that nothing can stand at. No message shows a secret.
func Check(cfg *config.Config) (problems []config.Problem) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Webhooks)) {
		c := &check{cfg: cfg, at: []any{"webhooks", name}}
		c.source(cfg.Webhooks[name])
		problems = append(problems, c.problems...)
	}
	return problems
}

// A check looks at one source.
type check struct {
	cfg      *config.Config
	at       []any
	problems []config.Problem
}

func (c *check) wrong(err error, below ...any) {
	if err != nil {
		c.problems = append(c.problems, c.cfg.Problem(err.Error(), append(slices.Clone(c.at), below...)...))
	}
}

func (c *check) doubt(message string, below ...any) {
	c.problems = append(c.problems, c.cfg.Warning(message, append(slices.Clone(c.at), below...)...))
}

func (c *check) source(s config.Webhook) {
	if h := s.Verify.HMAC; h != nil {
		c.hmac(h)
	}
	for key, spec := range map[string]string{"id": s.Verify.ID, "type": s.Verify.Type} {
		if spec != "" {
			c.wrong(checkSpec(spec), "verify", key)
		}
	}
	for i, secret := range s.Keys() {
		if s.Verify.Scheme == "" && s.Verify.HMAC == nil { // config has said so
			break
		}
		at := []any{"secret"}
		if s.Secret == "" {
			at = []any{"secrets", i}
		}
		c.secret(s, secret, at)
	}
	if len(s.Secrets) == 2 && s.Secrets[0] == s.Secrets[1] {
		c.doubt("both secrets are the same", "secrets")
	}
	if s.FIFO != "" && s.FIFO != each {
		c.wrong(checkSpec(s.FIFO), "fifo")
	}
	for i, topic := range s.Topics {
		if s.Verify.Scheme == "sns" && !match("arn:*:sns:*:*:*", topic) && strings.Trim(topic, "*") != "" {
			c.wrong(errors.New("this can't be the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:orders"), "topics", i)
		}
		if s.Verify.Scheme == "sns" && match("*:sns:*:*", topic) && !hasAccount(topic) {
			c.doubt("anybody's topic may have such an ARN: name the account", "topics", i)
		}
	}
	if s.Verify.Scheme == "meta" && s.Token == "" {
		c.doubt("Meta says a token of yours when it looks whether this address is yours: without token it can't be set up")
	}
}

// hasAccount reports whether a topic's pattern says whose it is: arn:aws:sns:REGION:ACCOUNT:NAME.
func hasAccount(pattern string) bool {
	parts := strings.Split(pattern, ":")
	return len(parts) == 6 && len(parts[4]) == 12 && strings.Trim(parts[4], "0123456789") == ""
}

func (c *check) hmac(h *config.HMAC) {
	at := func(key string) []any { return []any{"verify", "hmac", key} }
	g := &generic{HMAC: *h}
	if strings.Contains(h.Signed, "{timestamp}") == (h.Timestamp != "") { // or config says so
		c.wrong(g.parse(), at("signed")...)
	}
	if h.ID != "" {
		c.wrong(checkSpec(h.ID), at("id")...)
	}
	if h.Type != "" {
		c.wrong(checkSpec(h.Type), at("type")...)
	}
	if h.Algorithm == "sha1" {
		c.doubt("SHA-1 is what a source should no longer sign with; if it can do sha256, take that", at("algorithm")...)
	}
	if strings.Contains(h.Signed, "{id}") && h.ID != "" && !strings.HasPrefix(h.ID, "header:") {
		c.doubt("the body is signed as a whole already; {id} is for an id in a field", at("signed")...)
	}
}

func (c *check) secret(s config.Webhook, secret string, at []any) {
	if strings.TrimSpace(secret) != secret {
		c.doubt("the secret begins or ends with white space; is that part of it?", at...)
	}
	one := s
	one.Secret, one.Secrets = secret, nil
	if _, err := New(one, nil); err != nil {
		if s.Verify.HMAC == nil || (&generic{HMAC: *s.Verify.HMAC}).parse() == nil { // what signed can't be stands there
			c.wrong(err, at...)
		}
		return
	}
	switch {
	case s.Verify.Scheme == "stripe" && !strings.HasPrefix(secret, "whsec_"):
		c.doubt("the secret of an endpoint of Stripe begins with whsec_, which is part of it", at...)
	case s.Verify.Scheme == "standard" && !strings.HasPrefix(secret, "whsec_") && !strings.HasPrefix(secret, "whpk_"):
		c.doubt("the secret of Standard Webhooks begins with whsec_; this is taken for the Base64 after it", at...)
	case s.Verify.Scheme == "graph" && len(secret) > 128:
		c.wrong(errors.New("a clientState has 128 characters at most"), at...)
	case (s.Verify.Scheme == "bearer" || s.Verify.Scheme == "graph") && len(secret) < 16:
		c.doubt("the secret is sent as it is, and short enough to be guessed", at...)
	}
}
