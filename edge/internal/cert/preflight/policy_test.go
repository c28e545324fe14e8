package preflight

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/onehost/edge/core/config"
)

func TestWhomCAARecordsPermit(t *testing.T) {
	ways := []string{config.HTTP01, config.TLSALPN01}
	for _, tt := range []struct {
		records  string // FLAGS TAG VALUE, with / between
		wildcard bool
		want     bool
	}{
		{`0 issue "ca.example"`, false, true},
		{`0 issue "CA.Example"`, false, true},
		{`0 issue "other.example"`, false, false},
		{`0 issue "other.example"/0 issue "ca.example"`, false, true},
		{`0 issue ";"`, false, false},
		{`0 issue ""`, false, false},
		{`0 issue "%%%%"`, false, false},
		{`0 issue "sub.ca.example"`, false, false},
		{`0 issue "ca.example; account=1"`, false, true},
		{`0 issue "ca.example; validationmethods=dns-01"`, false, false},
		{`0 issue "ca.example; validationmethods=dns-01,http-01"`, false, true},
		{`0 issue "ca.example; nonsense"`, false, false},
		{`0 iodef "mailto:a@b.example"`, false, true},
		{`0 issuewild "other.example"`, false, true},
		{`0 issuewild "other.example"`, true, false},
		{`0 issue "ca.example"/0 issuewild ";"`, true, false},
		{`0 issue "other.example"/0 issuewild "ca.example"`, true, true},
		{`0 issue "ca.example"`, true, true},
		{`128 tbs "x"/0 issue "ca.example"`, false, false},
		{`0 tbs "x"`, false, true},
		{`128 issue "ca.example"`, false, true},
	} {
		var records []*dns.CAA
		for text := range strings.SplitSeq(tt.records, "/") {
			rr, err := dns.NewRR("a.example. 60 IN CAA " + text)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, rr.(*dns.CAA))
		}
		if got := permits(records, tt.wildcard, []string{"ca.example"}, ways); got != tt.want {
			t.Errorf("%s, wildcard %t: %t", tt.records, tt.wildcard, got)
		}
	}
}

func TestTheNearestCAARecordsHold(t *testing.T) {
	ns := startDNS(t, `example.com CAA 0 issue "other.example"`, `b.example.com CAA 0 issue "ca.example"`, "c.example.com A 127.0.0.1",
		"broken.example.com SERVFAIL", "d.broken.example.com A 127.0.0.1", "free.example.org A 127.0.0.1",
		`com CAA 0 issue "tld.example"`)
	for name, want := range map[string]string{
		"a.example.com":        "fail CAA of example.com: https://127.0.0.1:",
		"b.example.com":        "ok CAA of b.example.com: https://127.0.0.1:",
		"x.y.b.example.com":    "ok CAA of b.example.com: https://127.0.0.1:",
		"c.example.com":        "fail CAA of example.com",
		"d.broken.example.com": "fail CAA of broken.example.com: the resolver answers SERVFAIL",
		"free.example.org":     "ok no CAA record",
		"example.net":          "ok no CAA record",
		"other.com":            "fail CAA of com",
	} {
		expect(t, inspect(t, oneHost(t, name, ""), testWorld(ns)), "caa", want)
	}
}

func TestCAAOfSeveralIssuers(t *testing.T) {
	ns := startDNS(t, `example.com CAA 0 issue "ca.example"`)
	url, root := startCA(t, `"caaIdentities": ["ca.example"]`)
	forbidden, rootOfForbidden := startCA(t, `"caaIdentities": ["cb.example"]`)
	nameless, rootOfNameless := startCA(t, "")
	issuer := func(url, root string) string { return fmt.Sprintf("{directory: %q, ca: %q}", url, root) }
	for _, tt := range []struct {
		issuers []string
		want    string
	}{
		{[]string{issuer(url, root), issuer(forbidden, rootOfForbidden)}, "warn may not"},
		{[]string{issuer(nameless, rootOfNameless)}, "unknown does not say"},
		{[]string{issuer(url, root), "local"}, "ok may issue"},
	} {
		cfg := configure(t, fmt.Sprintf("tls: {issuers: [%s]}\nhosts: {a.example.com: {default: {respond: {}}}}\n", strings.Join(tt.issuers, ", ")))
		expect(t, inspect(t, cfg, testWorld(ns)), "caa", tt.want)
	}
}

func TestWildcardsNeedAZoneAtRoute53(t *testing.T) {
	ns := startDNS(t, "example.com NS ns-1.awsdns-12.co.uk.", "example.org NS ns1.elsewhere.example.", "a.sub.example.com A 127.0.0.1",
		"alias.example.com. NS <- alias.example.com. 60 IN CNAME elsewhere.example.", "alias.example.com. NS <- elsewhere.example. 60 IN NS ns1.elsewhere.example.", `w.example.com CAA 0 issuewild "cb.example"`)
	for name, want := range map[string]string{
		"*.alias.example.com": "ok zone example.com",
		"*.example.com":       "ok zone example.com",
		"*.sub.example.com":   "ok zone example.com",
		"*.example.org":       "warn served by ns1.elsewhere.example, and not",
		"*.example.net":       "fail no zone",
	} {
		findings := inspect(t, oneHost(t, name, "tls: {dns: {route53: {}}}"), testWorld(ns))
		expect(t, findings, "zone", want)
		expect(t, findings, "name")
		expect(t, findings, "port 80")
	}
	expect(t, inspect(t, oneHost(t, "*.w.example.com", "tls: {dns: {route53: {}}}"), testWorld(ns)), "caa", "fail CAA of w.example.com")
}

// FuzzParseIssue: what is taken apart can be put together again, and says the same.
func FuzzParseIssue(f *testing.F) {
	for _, seed := range []string{"", ";", "letsencrypt.org", "ca.example; a=b; validationmethods=dns-01,http-01", "ca.example;", "a;=;b", "\x00;\xff=1", " ca . example ;; a = b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		domain, parameters, ok := parseIssue(value)
		if !ok {
			return
		}
		again := domain
		for tag, text := range parameters {
			again += "; " + tag + "=" + text
		}
		domain2, parameters2, ok := parseIssue(again)
		if !ok || domain2 != domain || len(parameters2) != len(parameters) {
			t.Fatalf("%q is %q %q, and again %q %q %t", value, domain, parameters, domain2, parameters2, ok)
		}
		if domain == "ca.example" && !strings.Contains(strings.ToLower(value), "ca.example") {
			t.Fatalf("%q names no such CA", value)
		}
	})
}
