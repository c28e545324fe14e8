package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// An Address is a target's URL, taken apart: how to get a connection and what to speak on it.
type Address struct {
	Scheme  string // "http", "https" or "h2c" (HTTP/2 without TLS, by prior knowledge). A unix socket speaks "http"
	Network string // "tcp" or "unix"
	Dial    string // HOST:PORT, or the path of a unix socket
	Host    string // what a Host field says when nobody else has a say: HOST:PORT as configured; "localhost" for a unix socket
}

// ParseAddress takes http://HOST:PORT, https://…, h2c://… or unix:/PATH apart. As a target of ALB, a target here
// has no path, query or user.
func ParseAddress(raw string) (Address, error) {
	if path, ok := strings.CutPrefix(raw, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return Address{}, fmt.Errorf("%q: the path of a unix socket must be absolute: unix:/PATH", raw)
		}
		if len(path) > maxSocketPath {
			return Address{}, fmt.Errorf("%q: the path of a unix socket has at most %d bytes", raw, maxSocketPath)
		}
		return Address{Scheme: "http", Network: "unix", Dial: filepath.Clean(path), Host: "localhost"}, nil
	}
	if strings.Contains(raw, "@") { // perhaps a password: it must not be repeated
		return Address{}, errors.New("a target's URL has no user and no password")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return Address{}, fmt.Errorf("%q is not a URL: write http://HOST:PORT", raw)
	}
	defaultPort, ok := map[string]string{"http": "80", "h2c": "80", "https": "443"}[u.Scheme]
	if !ok {
		return Address{}, fmt.Errorf("%q: a target is http://HOST:PORT, https://…, h2c://… or unix:/PATH", raw)
	}
	if !isHost(u.Hostname()) {
		return Address{}, fmt.Errorf("%q has no host: write a name or an IP address", raw)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
		return Address{}, fmt.Errorf("%q: a target has a host and a port and nothing else; use rewrite to change paths", raw)
	}
	port := defaultPort
	if strings.HasSuffix(u.Host, ":") || u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			return Address{}, fmt.Errorf("%q: the port must be 1 to 65535", raw)
		}
		port = strconv.FormatUint(n, 10)
	}
	return Address{Scheme: u.Scheme, Network: "tcp", Dial: net.JoinHostPort(strings.ToLower(u.Hostname()), port), Host: u.Host}, nil
}

// maxSocketPath is the length of sun_path in unix(7), less its terminating zero.
const maxSocketPath = 107

// String returns the canonical form: two spellings of one address are the same target.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Dial
	}
	return a.Scheme + "://" + strings.Replace(a.Dial, "%", "%25", 1) // the zone of an IPv6 address (RFC 6874)
}

// isHost reports whether s is an IP address or may be a name that a resolver knows.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// TLSConfig returns a new configuration for connecting to an https target, nil for the other ones.
//
// A certificate is verified against the system's roots when the target is given by a name or by a public address. For
// localhost and for loopback, private and link-local addresses it is not, as ALB never does: no public authority issues
// certificates for them, and who can stand in between there could read plain http as well.
func (a Address) TLSConfig() *tls.Config {
	if a.Scheme != "https" {
		return nil
	}
	host, _, _ := net.SplitHostPort(a.Dial)
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         host,
		InsecureSkipVerify: isOurNetwork(host), //nolint:gosec // as ALB, and see above
	}
}

func isOurNetwork(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost" || strings.HasSuffix(host, ".localhost")
	}
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
}

// DialFunc is net.Dialer.DialContext's shape.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// whyNot says in a few words for people why err happened, without the address that they asked about.
func whyNot(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the answer was complete"
	}
	return err.Error()
}
