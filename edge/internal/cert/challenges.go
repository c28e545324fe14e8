package cert

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"
)

// challengePath is where a CA looks for the answer to an HTTP-01 challenge (RFC 8555, section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// challenges are those that a CA is about to look at. The listeners that serve answer them.
type challenges struct {
	mu   sync.RWMutex
	http map[string]string           // key authorizations, by token
	alpn map[string]*tls.Certificate // by name
}

func newChallenges() *challenges {
	return &challenges{http: make(map[string]string), alpn: make(map[string]*tls.Certificate)}
}

// Challenge returns what a CA has to find at path on plain HTTP, if it is looking for an answer there.
func (m *Manager) Challenge(path string) (body string, ok bool) {
	token, ok := strings.CutPrefix(path, challengePath)
	if !ok {
		return "", false
	}
	m.challenges.mu.RLock()
	defer m.challenges.mu.RUnlock()
	body, ok = m.challenges.http[token]
	return body, ok
}

// config returns the terms of a handshake by which a CA looks for the answer to a TLS-ALPN-01 challenge: it offers that
// protocol alone, and nothing is said on such a connection after the handshake (RFC 8737, section 3). Nil for all others.
func (c *challenges) config(hello *tls.ClientHelloInfo) *tls.Config {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmez.ACMETLS1Protocol {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	answer := c.alpn[strings.ToLower(hello.ServerName)]
	if answer == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*answer}, NextProtos: hello.SupportedProtos, SessionTicketsDisabled: true}
}

// http01 and tlsALPN01 are the solvers that put answers there.
type (
	http01    struct{ *challenges }
	tlsALPN01 struct{ *challenges }
)

var _, _ acmez.Solver = http01{}, tlsALPN01{}

func (c http01) Present(_ context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.http[chal.Token] = chal.KeyAuthorization
	return nil
}

func (c http01) CleanUp(_ context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.http, chal.Token)
	return nil
}

func (c tlsALPN01) Present(_ context.Context, chal acme.Challenge) error {
	answer, err := acmez.TLSALPN01ChallengeCert(chal)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alpn[serverName(chal.Identifier)] = answer
	return nil
}

func (c tlsALPN01) CleanUp(_ context.Context, chal acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alpn, serverName(chal.Identifier))
	return nil
}

// serverName is the name by which a CA asks for the answer: an IP address in its reverse DNS form (RFC 8738, section 6).
func serverName(id acme.Identifier) string {
	if reversed, err := dns.ReverseAddr(id.Value); err == nil {
		return strings.TrimSuffix(reversed, ".")
	}
	return strings.ToLower(id.Value)
}
