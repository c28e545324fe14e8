package config

import (
	"net/netip"
	"slices"
	"strings"
)

// The names of issuers that edge knows, and the challenges (RFC 8555, section 8; RFC 8737).
const (
	LetsEncrypt        = "letsencrypt"
	LetsEncryptStaging = "letsencrypt-staging"
	ZeroSSL            = "zerossl"
	Local              = "local"

	HTTP01    = "http-01"
	TLSALPN01 = "tls-alpn-01"
	DNS01     = "dns-01"
)

// IssuersOf returns who issues a host's certificates, in order of preference: those that the host names, else those of
// tls, else Let's Encrypt if there is an e-mail address. A host with files of its own, or with tls: off, has none.
func (c *Config) IssuersOf(h Host) []Issuer {
	switch {
	case h.TLS.Off || h.TLS.Cert != "":
		return nil
	case len(h.TLS.Issuers) > 0:
		return h.TLS.Issuers
	case len(c.TLS.Issuers) > 0:
		return c.TLS.Issuers
	case c.TLS.Email != "":
		return []Issuer{{Name: LetsEncrypt}}
	}
	return nil
}

// String is the issuer's name, or its directory.
func (i Issuer) String() string {
	if i.Name != "" {
		return i.Name
	}
	return i.Directory
}

// DirectoryURL is the ACME directory of the issuer: its own, or that of the name; "" for the local CA, which has none.
// Those of the names are from letsencrypt.org/getting-started, letsencrypt.org/docs/staging-environment and
// zerossl.com/documentation/acme.
func (i Issuer) DirectoryURL() string {
	switch i.Name {
	case LetsEncrypt:
		return "https://acme-v02.api.letsencrypt.org/directory"
	case LetsEncryptStaging:
		return "https://acme-staging-v02.api.letsencrypt.org/directory"
	case ZeroSSL:
		return "https://acme.zerossl.com/v2/DV90"
	}
	return i.Directory
}

// public reports whether the issuer is a CA that browsers trust, or behaves like one: it certifies what the public DNS has.
func (i Issuer) public() bool { return i.Directory == "" && i.Name != Local }

// ChallengesOf returns the challenges by which a name may be proved to an issuer: those that it lists, or all, less those
// that no listener or DNS is there for, or that can't prove such a name. The local CA has none.
func (c *Config) ChallengesOf(i Issuer, name string) []string {
	if i.Name == Local {
		return nil
	}
	var possible []string
	for _, challenge := range []string{HTTP01, TLSALPN01, DNS01} {
		listed := len(i.Challenges) == 0 || slices.Contains(i.Challenges, challenge)
		if listed && c.lacks(challenge) == "" && proves(challenge, name) {
			possible = append(possible, challenge)
		}
	}
	return possible
}

// lacks says what a challenge needs and the configuration does not have, or "".
func (c *Config) lacks(challenge string) string {
	switch {
	case challenge == HTTP01 && len(c.Listen.HTTP) == 0:
		return "a listener for plain HTTP, and listen.http is empty"
	case challenge == TLSALPN01 && len(c.Listen.HTTPS) == 0:
		return "a listener for HTTPS, and listen.https is empty"
	case challenge == DNS01 && c.TLS.DNS.Route53 == nil:
		return "a place to write DNS records: write tls: {dns: {route53: {}}}"
	}
	return ""
}

// proves reports whether a challenge can prove such a name. Wildcards are proved by DNS alone (Baseline Requirements,
// sections 3.2.2.4.19 and .20), IP addresses by all but DNS (RFC 8738, section 7).
func proves(challenge, name string) bool {
	if strings.HasPrefix(name, "*.") {
		return challenge == DNS01
	}
	_, err := netip.ParseAddr(name)
	return err != nil || challenge != DNS01
}

// Refusal says why an issuer can't issue a certificate for a host's name or an alias and what to do about it, or "" if
// nothing in the configuration stands against it.
func (c *Config) Refusal(i Issuer, name string) string {
	if i.Name == Local {
		return ""
	}
	_, err := netip.ParseAddr(name)
	address, wildcard := err == nil, strings.HasPrefix(name, "*.")
	switch {
	case address && i.public():
		return "edge asks public CAs for no IP addresses; use issuer local, or cert and key"
	case !address && i.public() && !inPublicDNS(name):
		return "public CAs issue for names in the public DNS only; use issuer local, or cert and key"
	case len(c.ChallengesOf(i, name)) > 0:
		return ""
	case wildcard && c.lacks(DNS01) != "":
		return "a wildcard is proved by dns-01, which needs " + c.lacks(DNS01)
	case wildcard:
		return "a wildcard is proved by dns-01; add it to the issuer's challenges"
	case address:
		return "an IP address is proved by http-01 or tls-alpn-01; add one to the issuer's challenges"
	}
	return "none of its challenges can work here"
}

// inPublicDNS reports whether a name may be one that the public DNS has: not a name of one part, and none under a
// top-level domain that is set apart for other uses or will never be delegated (RFC 6761, 6762, 7686, 8375, 9476; ICANN's
// resolution 2024.07.29.06 for internal, and 2018.02.04.12 for corp, home and mail).
func inPublicDNS(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if name == "home.arpa" || strings.HasSuffix(name, ".home.arpa") {
		return false
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return false
	}
	switch name[dot+1:] {
	case "localhost", "local", "internal", "test", "invalid", "example", "onion", "alt", "lan", "corp", "home", "mail", "localdomain":
		return false
	}
	return true
}
