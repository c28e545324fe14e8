package config

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// The bounds of tls.check_interval: certificates of a minute need looking at every second, and those of days once a day.
const (
	minCheckInterval = time.Second
	maxCheckInterval = 24 * time.Hour
)

// tls finds what is wrong in where certificates come from.
func (k *checker) tls() {
	at := path{"tls"}
	if d := k.TLS.CheckInterval; d > 0 && (d < minCheckInterval || d > maxCheckInterval) {
		k.fail(at.to("check_interval"), "check_interval is from 1s to 1d")
	}
	k.issuers(k.TLS.Issuers, at.to("issuers"))
	k.email(at.to("email"))
}

// email warns of an address that a public CA refuses as the contact of an account. CAs of one's own take what they like.
func (k *checker) email(at path) {
	_, domain, _ := strings.Cut(k.TLS.Email, "@")
	if k.bad(at) || !reservedForExamples(domain) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(k.Hosts)) {
		for _, i := range k.IssuersOf(k.Hosts[name]) {
			if i.Name != "" && i.public() {
				k.warn(at, "nobody has mail at %s, so that %s may refuse it as a contact and give no certificate; write an address of your own", k.Show(domain, at...), i.Name)
				return
			}
		}
	}
}

// reservedForExamples reports whether nobody can have mail at a domain (RFC 2606, sections 2 and 3; RFC 6761, section 6).
// Let's Encrypt refuses the first three by name (boulder's pull request 3748), and the others since no public suffix ends them.
func reservedForExamples(domain string) bool {
	domain = strings.ToLower(domain)
	switch domain {
	case "example.com", "example.net", "example.org":
		return true
	}
	switch domain[strings.LastIndexByte(domain, '.')+1:] {
	case "example", "test", "invalid", "localhost":
		return true
	}
	return false
}

func (k *checker) issuers(issuers []Issuer, at path) {
	seen := map[string]int{}
	for i, issuer := range issuers {
		here := at.to(i)
		k.issuer(issuer, here)
		if first, ok := seen[issuer.String()]; ok && issuer.String() != "" {
			k.fail(here, "%s is an issuer already, as item %d", k.Show(issuer.String(), here...), first+1)
			continue
		}
		seen[issuer.String()] = i
	}
}

// issuer finds what is wrong in one issuer.
func (k *checker) issuer(i Issuer, at path) {
	name, directory := k.given(at.to("name")) || i.Name != "", k.given(at.to("directory"))
	switch {
	case k.bad(at):
	case name && directory:
		k.fail(at.to("name"), "an issuer has a name or a directory, and not both")
	case !name && !directory:
		k.fail(at, "an issuer needs a name (%s) or the URL of its directory", list([]string{LetsEncrypt, LetsEncryptStaging, ZeroSSL, Local}, "or"))
	case name:
		k.named(i, at)
	}
	if e := i.EAB; e != nil && e.HMAC != "" && k.places[pathKey(at.to("eab", "hmac")...)].bare {
		k.warn(at.to("eab", "hmac"), "the key stands in the file as it is; write ${credential:NAME} or ${file:PATH}")
	}
	k.challenges(i, at)
}

// named finds what is wrong in an issuer that edge knows by name.
func (k *checker) named(i Issuer, at path) {
	if k.given(at.to("ca")) {
		k.fail(at.to("ca"), "ca goes with directory; edge knows how to reach %s", i.Name)
	}
	if k.given(at.to("eab")) && i.Name != ZeroSSL && i.Name != "" {
		k.fail(at.to("eab"), "eab goes with zerossl or directory; %s asks for none", i.Name)
	}
	if i.Name == ZeroSSL && !k.given(at.to("eab")) && !k.given(path{"tls", "email"}) {
		k.fail(at, "zerossl needs tls.email, to which it then gives an account, or eab: {kid: …, hmac: …} from the developer page of zerossl.com")
	}
}

// challenges finds challenges that are asked for and can't work. It fails only if that leaves none.
func (k *checker) challenges(i Issuer, at path) {
	if i.Name == Local && k.given(at.to("challenges")) {
		k.fail(at.to("challenges"), "the local CA has no challenges")
		return
	}
	tell := k.warn
	if !slices.ContainsFunc(i.Challenges, func(c string) bool { return c == "" || k.lacks(c) == "" }) {
		tell = k.fail
	}
	for n, challenge := range i.Challenges {
		if lacks := k.lacks(challenge); lacks != "" && !k.bad(path{"tls", "dns"}) {
			tell(at.to("challenges", n), "%s needs %s", challenge, lacks)
		}
	}
}

// certificate finds hosts that would have no certificate.
func (k *checker) certificate(name string, h Host, at path) {
	tls := at.to("tls")
	cert, key := k.given(tls.to("cert")), k.given(tls.to("key"))
	k.issuers(h.TLS.Issuers, tls.to("issuers"))
	switch {
	case k.bad(tls), k.bad(tls.to("issuers")), k.bad(path{"tls"}), k.bad(path{"tls", "issuers"}), k.bad(path{"tls", "email"}):
	case h.TLS.Off:
		if h.HSTS > 0 {
			k.warn(at.to("hsts"), "hsts has no effect on a host that has tls: off")
		}
	case cert && !key:
		k.fail(tls.to("cert"), "cert needs key: the file with the certificate's private key")
	case key && !cert:
		k.fail(tls.to("key"), "key needs cert: the file with the certificate and its chain")
	case cert:
		if len(h.TLS.Issuers) > 0 {
			k.warn(tls.to("issuers"), "issuers have no effect on a host with a certificate of its own")
		}
	case name == "*":
		k.fail(at, `host "*" needs a certificate of its own: write tls: {cert: FILE, key: FILE}, or tls: off for plain http`)
	case len(k.IssuersOf(h)) == 0:
		k.fail(at, "host %s has no certificate: at the top of the file write tls: {email: YOUR ADDRESS} for Let's Encrypt or tls: {issuers: [local]} for a CA of edge's own, or under the host tls: {cert: FILE, key: FILE}, or tls: off for plain http", k.Show(name, at...))
	default:
		k.refused(name, k.IssuersOf(h), at)
		for i, alias := range h.Aliases {
			if alias != "" {
				k.refused(alias, k.IssuersOf(h), at.to("aliases", i))
			}
		}
	}
}

// refused finds a name that no issuer certifies. It warns of a wildcard that only some do: that wants a setting.
func (k *checker) refused(name string, issuers []Issuer, at path) {
	var reasons []string
	by := map[string][]string{} // issuers by reason
	willing := ""
	for _, i := range issuers {
		reason := k.Refusal(i, name)
		switch {
		case i.String() == "" || i.Name != Local && len(k.ChallengesOf(i, "a.name.of.any")) == 0:
			return // what is wrong with the issuer itself is said there
		case reason == "" && willing == "":
			willing = i.String()
		case reason == "":
		case by[reason] == nil:
			reasons = append(reasons, reason)
			fallthrough
		default:
			by[reason] = append(by[reason], i.String())
		}
	}
	for n, reason := range reasons {
		reasons[n] = list(by[reason], "or") + ": " + reason
	}
	said := strings.Join(reasons, "; ")
	switch wildcard := strings.HasPrefix(name, "*."); {
	case said == "":
	case willing == "":
		k.fail(at, "%s gets no certificate from %s", k.Show(name, at...), said)
	case wildcard:
		k.warn(at, "%s gets its certificate from %s, and none from %s", k.Show(name, at...), willing, said)
	}
}
