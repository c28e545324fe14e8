package cert

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
)

// TLS returns the configuration for listeners: TLS 1.2 and later, Go's current suites, h2 and h1. A handshake for
// a name that is not configured is refused with unrecognized_name (RFC 6066, section 3); one without a name gets
// the certificate of the IP address that it came to, if that is a host.
func (m *Manager) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: m.certificate,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return m.challenges.config(hello), nil
		},
	}
}

// certificate returns nil without an error where there is none: crypto/tls makes unrecognized_name of that.
func (m *Manager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	set := m.serving.Load()
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	var s *source
	if name == "" {
		name = localIP(hello.Conn)
		s = set.names[name]
	} else {
		s = set.find(name)
	}
	if s == nil {
		m.refusals.note(name)
		return nil, nil
	}
	return s.certificate(), nil
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
		if wildcard := set.names["*"+name[dot:]]; wildcard != nil {
			return wildcard
		}
	}
	return set.names["*"]
}

// Covers reports whether hostname may be served on a connection, nil for one without TLS: whether the certificate that the
// handshake got is good for it, too (RFC 9110, section 7.4).
func (m *Manager) Covers(connection *tls.ConnectionState, hostname string) bool {
	if connection == nil {
		return true
	}
	sni := strings.ToLower(strings.TrimSuffix(connection.ServerName, "."))
	set := m.serving.Load()
	if sni == "" { // an IP host's certificate was served
		return set.names[hostname] != nil && isIP(hostname)
	}
	if sni == hostname {
		return true
	}
	s := set.find(sni)
	if s == nil {
		return false
	}
	if s.name == "*" {
		return set.find(hostname) == s
	}
	leaf := s.leaf()
	return leaf != nil && leaf.VerifyHostname(hostname) == nil
}

func isIP(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
