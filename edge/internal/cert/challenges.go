package cert

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"
	"github.com/onehost/edge/edge/internal/cert/shared"
)

// challengePath is where a CA looks for the answer to an HTTP-01 challenge (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// challenges are those that a CA is about to look at. The listeners that serve answer them, and those of other hosts that share them.
type challenges struct {
	log    *slog.Logger
	shared *shared.Storage // nil: there are no others
	others *others         // whoever is asked for what is not here; nil: nobody

	mu   sync.RWMutex
	http map[string]string           // key authorizations, by token
	alpn map[string]*tls.Certificate // by name
}

func newChallenges(log *slog.Logger) *challenges {
	return &challenges{log: log, http: make(map[string]string), alpn: make(map[string]*tls.Certificate)}
}

// Challenge returns what a CA has to find at path on plain HTTP, if it is looking for an answer there.
func (m *Manager) Challenge(path string) (body string, ok bool) {
	token, ok := strings.CutPrefix(path, challengePath)
	if !ok {
		return "", false
	}
	return m.challenges.token(token)
}

func (c *challenges) token(token string) (answer string, ok bool) {
	c.mu.RLock()
	answer, ok = c.http[token]
	c.mu.RUnlock()
	if !ok && c.others != nil && isToken(token) {
		found := c.others.find(httpID(token))
		return string(found), found != nil
	}
	return answer, ok
}

// isToken reports whether s can be a token: base64url of at least 128 bits (RFC 8555, section 8.1).
func isToken(s string) bool {
	return len(s) >= 22 && len(s) <= 200 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	})
}

// config returns the terms of a handshake by which a CA looks for the answer to a TLS-ALPN-01 challenge: it offers that
// protocol alone, and nothing is said on such a connection after the handshake (RFC 8737, section 3). Nil for all others.
func (c *challenges) config(hello *tls.ClientHelloInfo) *tls.Config {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmez.ACMETLS1Protocol {
		return nil
	}
	name := strings.ToLower(hello.ServerName)
	c.mu.RLock()
	answer := c.alpn[name]
	c.mu.RUnlock()
	if answer == nil && c.others != nil && isServerName(name) {
		answer = alpnAnswer(c.others.find(alpnID(name)))
	}
	if answer == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*answer}, NextProtos: hello.SupportedProtos, SessionTicketsDisabled: true}
}

// isServerName reports whether s can be a name that a CA asks for: that of a host in ASCII (RFC 1123, RFC 5891), or an address in
// its reverse DNS form. Whatever else a stranger writes there must not spoil the question that others have asked together with it.
func isServerName(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '-' && r != '.' && r != '_'
	})
}

// http01 and tlsALPN01 are the solvers that put answers there.
type (
	http01    struct{ *challenges }
	tlsALPN01 struct{ *challenges }
)

var _, _ acmez.Solver = http01{}, tlsALPN01{}

func (c http01) Present(ctx context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	c.http[chal.Token] = chal.KeyAuthorization
	c.mu.Unlock()
	c.tell(ctx, shared.Answer{ID: httpID(chal.Token), Value: []byte(chal.KeyAuthorization)})
	return nil
}

func (c http01) CleanUp(ctx context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	delete(c.http, chal.Token)
	c.mu.Unlock()
	c.takeBack(ctx, shared.Answer{ID: httpID(chal.Token), Value: []byte(chal.KeyAuthorization)})
	return nil
}

func (c tlsALPN01) Present(ctx context.Context, chal acme.Challenge) error {
	answer, err := acmez.TLSALPN01ChallengeCert(chal)
	if err != nil {
		return err
	}
	name := serverName(chal.Identifier)
	c.mu.Lock()
	c.alpn[name] = answer
	c.mu.Unlock()
	c.tell(ctx, shared.Answer{ID: alpnID(name), Value: encodeALPN(chal)})
	return nil
}

func (c tlsALPN01) CleanUp(ctx context.Context, chal acme.Challenge) error {
	name := serverName(chal.Identifier)
	c.mu.Lock()
	delete(c.alpn, name)
	c.mu.Unlock()
	c.takeBack(ctx, shared.Answer{ID: alpnID(name), Value: encodeALPN(chal)})
	return nil
}

// serverName is the name by which a CA asks for the answer: an IP address in its reverse DNS form (RFC 8738, section 6).
func serverName(id acme.Identifier) string {
	if reversed, err := dns.ReverseAddr(id.Value); err == nil {
		return strings.TrimSuffix(reversed, ".")
	}
	return strings.ToLower(id.Value)
}
