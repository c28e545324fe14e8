package budget

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
	week = 7 * day
)

// The ACME directories of the CA whose limits are known.
const (
	letsEncrypt        = "https://acme-v02.api.letsencrypt.org/directory"
	letsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

// An Issuer is a CA that certificates are ordered from.
type Issuer struct {
	Name      string // as the sysadmin calls it, for messages
	Directory string // the URL of its ACME directory: what is one CA to the budget
}

// Kind is why a certificate is ordered: CAs count by it.
type Kind uint8

// The kinds of orders.
const (
	First       Kind = 1 << iota // there was no certificate for exactly this name
	Renewal                      // there was one
	Replacement                  // a renewal that names the certificate it replaces, as ARI asks (RFC 9773, section 5)
)

const anyKind = First | Renewal | Replacement

// A limit is a token bucket: count may be spent at once, and one comes back every window/count.
type limit struct {
	id       string // in the file
	count    int
	window   time.Duration
	what     string // is counted, in a message: "certificates for %s"
	kinds    Kind   // of orders that heed it
	spent    moment
	subject  func(name string) string
	own      bool // edge's restraint, not a figure that the CA publishes
	lifetime bool // the window is what was left of the last certificate when it came; window is its upper end
	reset    bool // filled when a certificate comes
	noted    bool // nothing is assumed of it after the file was damaged
}

// moment is when a token of a limit is spent.
type moment uint8

const (
	atOrder       moment = iota // whatever becomes of the order
	atCertificate               // taken with the order, given back when no certificate comes
	atFailure                   // when a validation failed: an order only has to find one
	atRefusal                   // when the CA said that it limits us
)

// minLifetime is the shortest window of a limit by lifetime.
const minLifetime = time.Minute

// A token of one of these comes back after window/count.
var (
	newAccounts = limit{id: "accounts", count: 10, window: 3 * hour, what: "new accounts", kinds: anyKind, subject: everyName}
	perFailure  = limit{id: "failures", count: 5, window: hour, what: "failed validations of %s", kinds: anyKind, spent: atFailure, subject: identifier}
	asked       = limit{id: "refused", count: 1, window: week, what: "orders for %s", kinds: anyKind, spent: atRefusal, subject: exactly, noted: true}
)

// limits returns what orders to i heed.
//
// Let's Encrypt's figures and exemptions are those of https://letsencrypt.org/docs/rate-limits and
// https://letsencrypt.org/docs/staging-environment: renewals are exempt from what counts orders and registered domains,
// replacements from what counts certificates too. Of other CAs nothing is known: five certificates within the life of
// the last one are enough for whoever keeps them, and stop whoever forgets them.
func (i Issuer) limits() []limit {
	switch i.Directory {
	case letsEncrypt:
		return letsEncryptLimits(300, 50, 5, 5, 1152)
	case letsEncryptStaging:
		return letsEncryptLimits(1500, 30000, 30000, 200, 3600)
	}
	failures := perFailure
	failures.own = true
	return []limit{
		{id: "orders", count: 300, window: 3 * hour, what: "orders", kinds: anyKind, subject: everyName, own: true},
		{id: "name", count: 5, window: week, what: "certificates for exactly %s", kinds: anyKind, spent: atCertificate, subject: exactly, own: true, lifetime: true},
		failures, asked,
	}
}

func letsEncryptLimits(orders, domain, name, failures, consecutive int) []limit {
	perHour := perFailure
	perHour.count = failures
	return []limit{
		{id: "orders", count: orders, window: 3 * hour, what: "new orders", kinds: First, subject: everyName},
		{id: "domain", count: domain, window: week, what: "new certificates below %s", kinds: First, spent: atCertificate, subject: registeredDomain},
		{id: "name", count: name, window: week, what: "certificates for exactly %s", kinds: First | Renewal, spent: atCertificate, subject: exactly},
		{id: "replaced", count: 5, window: day, what: "certificates for exactly %s replaced before their time", kinds: Replacement, spent: atCertificate, subject: exactly, own: true},
		perHour,
		// Who reaches the last of these is paused until a person lifts it by hand.
		{id: "consecutive", count: consecutive - 1, window: time.Duration(consecutive-1) * day, what: "failed validations of %s in a row", kinds: anyKind, spent: atFailure, subject: identifier, reset: true, noted: true},
		asked,
	}
}

// interval is after how long a token comes back to a bucket that fills within window.
func (l *limit) interval(window time.Duration) time.Duration { return window / time.Duration(l.count) }

// Spent says that an order would overdraw a limit.
type Spent struct {
	Issuer string    // its name
	Limit  string    // in words: "5 certificates for exactly www.example.com in 7 days"
	Until  time.Time // when one more is allowed
	Own    bool      // it is edge's own restraint: the CA publishes no such limit
	Asked  bool      // the CA itself said until when
}

func (s *Spent) Error() string {
	until := s.Until.Add(time.Second - 1).UTC().Format("2006-01-02 15:04:05 UTC")
	switch {
	case s.Asked:
		return fmt.Sprintf("%s limits %s and asked for none before %s", s.Issuer, s.Limit, until)
	case s.Own:
		return fmt.Sprintf("edge asks %s for no more than %s, so that a loop does no harm, and these are spent; the next may be ordered at %s", s.Issuer, s.Limit, until)
	}
	return fmt.Sprintf("%s allows %s, and these are spent; the next may be ordered at %s", s.Issuer, s.Limit, until)
}

// spentError describes a bucket of i for name that has no token before until.
func (l *limit) spentError(i Issuer, name string, window time.Duration, until time.Time) *Spent {
	what := l.what
	if subject := l.subject(name); subject != wholeAccount {
		what = fmt.Sprintf(what, subject)
	}
	if l.spent == atRefusal {
		return &Spent{Issuer: i.Name, Limit: what, Until: until, Asked: true}
	}
	return &Spent{Issuer: i.Name, Limit: fmt.Sprintf("%d %s in %s", l.count, what, inWords(window)), Until: until, Own: l.own}
}

func inWords(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "day"}, {hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.length; d%unit.length == 0 && n > 0 {
			if n == 1 {
				return "1 " + unit.name
			}
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return d.Round(time.Second).String()
}

// wholeAccount is the subject of a limit that all names share.
const wholeAccount = "-"

func everyName(string) string { return wholeAccount }

func exactly(name string) string { return name }

// identifier is what is validated for name: the domain of a wildcard (RFC 8555, section 7.1.3).
func identifier(name string) string { return strings.TrimPrefix(name, "*.") }

// registeredDomain is the part of name that one registers: one label below a public suffix; of addresses the IPv4
// address, or the /64 of an IPv6 address.
func registeredDomain(name string) string {
	if addr, err := netip.ParseAddr(name); err == nil {
		if prefix, err := addr.Unmap().Prefix(64); err == nil {
			return prefix.String()
		}
		return addr.Unmap().String()
	}
	name = identifier(name)
	if domain, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return domain
	}
	return name // a public suffix itself
}

// maxName is the length of the longest name, in bytes (RFC 1035, section 2.3.4, and a wildcard's first label).
const maxName = 255

// canonical returns name as CAs compare it.
func canonical(name string) (string, error) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "" || name == wholeAccount || len(name) > maxName {
		return "", errors.New("budget: a name has 1 to 255 bytes")
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("budget: %q is no name that a CA signs: give international names in their ASCII form", name)
		}
	}
	return name, nil
}
