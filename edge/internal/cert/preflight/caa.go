package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"github.com/onehost/edge/core/config"
)

// issuerDomains are the names by which CAA records know the CAs that have a name in the configuration
// (letsencrypt.org/docs/caa; zerossl.com/help: its CA is Sectigo). A directory may name more (RFC 8555, section 9.7.6: caaIdentities).
func issuerDomains(issuer string) []string {
	switch issuer {
	case config.LetsEncrypt, config.LetsEncryptStaging:
		return []string{"letsencrypt.org"}
	case config.ZeroSSL:
		return []string{"sectigo.com"}
	}
	return nil
}

// policy finds the CAA records that hold for a name: its own, or those of the nearest name above it that has any
// (RFC 8659, section 3).
func (w world) policy(ctx context.Context, name string) (at string, records []*dns.CAA, err error) {
	for at = strings.TrimPrefix(name, "*."); at != ""; _, at, _ = strings.Cut(at, ".") {
		answers, err := w.ask(ctx, at, dns.TypeCAA)
		if err != nil && !errors.Is(err, errNoName) {
			return at, nil, err
		}
		for _, rr := range answers {
			if caa, ok := rr.(*dns.CAA); ok {
				records = append(records, caa)
			}
		}
		if len(records) > 0 {
			return at, records, nil
		}
	}
	return "", nil, nil
}

// caa judges whether the name's owner lets the CAs issue.
func (in *inspection) caa(ctx context.Context, s *subject) Finding {
	at, records, err := in.policy(ctx, s.name)
	f := Finding{Check: "caa", Result: OK}
	switch {
	case errors.As(err, new(*refusedError)):
		f.Result, f.Seen = Fail, fmt.Sprintf("CAA of %s: %v", at, err)
		f.Do = "look at the delegation and DNSSEC of the domain: without an answer a CA refuses"
		return f
	case err != nil:
		f.Result, f.Seen, f.Do = Unknown, err.Error(), "make the resolvers in /etc/resolv.conf answer this host"
		return f
	case len(records) == 0:
		f.Seen = "no CAA record: any CA may issue"
		return f
	}
	var allowed, forbidden, open []string
	for _, a := range s.issuers {
		if !a.acme() {
			continue
		}
		domains := a.domains(ctx)
		ways := in.Config.ChallengesOf(a.issuer, s.name)
		switch {
		case permits(records, strings.HasPrefix(s.name, "*."), domains, ways):
			allowed = append(allowed, a.issuer.String())
		case len(domains) == 0:
			open = append(open, a.issuer.String())
		default:
			forbidden = append(forbidden, fmt.Sprintf("%s (%s)", a.issuer, strings.Join(domains, ", ")))
		}
	}
	f.Seen = "CAA of " + at + ":"
	for _, part := range []struct {
		who  []string
		what string
	}{{allowed, "may issue"}, {forbidden, "may not"}, {open, "does not say what its name in CAA records is"}} {
		if len(part.who) > 0 {
			f.Seen += " " + strings.Join(part.who, " and ") + " " + part.what + ";"
		}
	}
	f.Seen = strings.TrimSuffix(f.Seen, ";")
	switch {
	case len(forbidden) > 0:
		f.Result, f.Do = Fail, "add a CAA record for the CA to "+at+", by the challenge that edge is to use, or use an issuer that the records name"
		if len(allowed) > 0 {
			f.Result = Warn
		}
	case len(open) > 0:
		f.Result, f.Do = Unknown, "ask the CA for its name in CAA records"
	}
	return f
}

// permits reports whether records let a CA with one of the domains issue for a name by one of the challenges
// (RFC 8659, sections 4.1 to 4.3; RFC 8657 for validationmethods).
func permits(records []*dns.CAA, wildcard bool, domains, challenges []string) bool {
	const critical = 128
	tagged := map[string][]string{}
	for _, r := range records {
		tag := strings.ToLower(r.Tag)
		switch tag {
		case "issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone":
		default:
			if r.Flag&critical != 0 {
				return false // who does not know it must not issue
			}
		}
		tagged[tag] = append(tagged[tag], r.Value)
	}
	values := tagged["issue"]
	if wildcard && len(tagged["issuewild"]) > 0 {
		values = tagged["issuewild"]
	}
	if len(values) == 0 {
		return true
	}
	return slices.ContainsFunc(values, func(value string) bool {
		domain, parameters, ok := parseIssue(value)
		if !ok || !slices.Contains(domains, domain) {
			return false
		}
		methods, limited := parameters["validationmethods"]
		return !limited || slices.ContainsFunc(strings.Split(methods, ","), func(m string) bool { return slices.Contains(challenges, strings.TrimSpace(m)) })
	})
}

// parseIssue reads the value of an issue or issuewild property (RFC 8659, section 4.2). The domain is lower case, and
// "" in a value that forbids all.
func parseIssue(value string) (domain string, parameters map[string]string, ok bool) {
	domain, rest, more := strings.Cut(value, ";")
	domain = strings.ToLower(strings.Trim(domain, " \t"))
	parameters = map[string]string{}
	for more {
		var parameter string
		parameter, rest, more = strings.Cut(rest, ";")
		parameter = strings.Trim(parameter, " \t")
		tag, text, hasValue := strings.Cut(parameter, "=")
		switch {
		case parameter == "" && !more: // issuers write a last ; that the grammar does not have
		case !hasValue || tag == "":
			return "", nil, false
		default:
			parameters[strings.ToLower(strings.Trim(tag, " \t"))] = strings.Trim(text, " \t")
		}
	}
	return domain, parameters, true
}
