package cert

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
)

// TLS returns the configuration for listeners, always the same one: TLS 1.2 and later, Go's current suites, h2 and h1.
// A handshake for a name that is not configured is refused with unrecognized_name (RFC 6066, section 3); one without a name
// gets the certificate of the IP address that it came to, if that is a host.
func (m *Manager) TLS() *tls.Config { return m.terms }

func (m *Manager) newTerms() *tls.Config {
	terms := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1", "http/1.0"}, // without the last, who offers nothing else is turned away
		GetCertificate:     m.certificate,
		GetConfigForClient: m.termsFor,
	}
	m.tickets.serve(terms)
	return terms
}

// termsFor returns the terms of a handshake where they are not those of all: for a CA that looks for the answer to a
// challenge, for a host that wants a certificate of its visitors, and for a name that is no host: no session is to bring
// anybody in there.
func (m *Manager) termsFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if answer := m.challenges.config(hello); answer != nil {
		return answer, nil
	}
	switch s := m.serving.Load().asked(hello); {
	case s == nil:
		return m.refusing, nil
	case s.clients != nil:
		return s.clients.config(), nil
	default:
		return nil, nil
	}
}

// certificate returns nil without an error where there is none: crypto/tls makes unrecognized_name of that.
func (m *Manager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := m.serving.Load().asked(hello)
	if s == nil {
		m.refusals.note(nameAsked(hello))
		return nil, nil
	}
	return s.certificate(), nil
}

// asked returns the source of the name that a handshake asks for, nil if it is none of ours.
func (set *Set) asked(hello *tls.ClientHelloInfo) *source {
	if hello.ServerName == "" {
		return set.names[nameAsked(hello)]
	}
	return set.find(nameAsked(hello))
}

// nameAsked is the name that a handshake is for: without one, the address that it came to.
func nameAsked(hello *tls.ClientHelloInfo) string {
	if hello.ServerName == "" {
		return localIP(hello.Conn)
	}
	return strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
}

func localIP(c net.Conn) string {
	if c == nil {
		return ""
	}
	ap, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return ""
	}
	return ap.Addr().Unmap().WithZone("").String()
}

// find returns the source for a name: its own, its wildcard's, or that of all others.
func (set *Set) find(name string) *source {
	if own := set.names[name]; own != nil {
		return own
	}
	if dot := strings.IndexByte(name, '.'); dot > 0 {
		if wildcard := set.wildcards[name[dot:]]; wildcard != nil {
			return wildcard
		}
	}
	return set.names["*"]
}

// Covers reports whether hostname may be served on a connection, nil for one without TLS: whether the certificate that the
// handshake got is good for it, too (RFC 9110, section 7.4), and whether the visitor showed the certificate that the
// host wants. One that was shown to a host is for that host alone.
func (m *Manager) Covers(connection *tls.ConnectionState, hostname string) bool {
	set := m.serving.Load()
	if connection == nil {
		s := set.find(hostname)
		return s == nil || s.clients == nil
	}
	sni, wanted := connection.ServerName, set.find(hostname)
	asked := wanted
	if sni != hostname { // as few requests have it
		sni = strings.ToLower(strings.TrimSuffix(sni, "."))
		asked = set.find(sni)
	}
	if sni == "" { // an IP host's certificate was served
		if asked = set.names[hostname]; asked == nil || !isIP(hostname) {
			return false
		}
	}
	switch {
	case asked == nil || wanted == nil:
		return sni == hostname
	case asked.clients != nil || wanted.clients != nil || len(connection.VerifiedChains) > 0:
		return asked == wanted && wanted.clients.admits(connection)
	case sni == hostname || sni == "":
		return true
	case asked.name == "*":
		return wanted == asked
	}
	leaf := asked.leaf()
	return leaf != nil && leaf.VerifyHostname(hostname) == nil
}

func isIP(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
