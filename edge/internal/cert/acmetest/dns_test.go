package acmetest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

func TestTheNameServerAnswersByUDPAndTCPWhatItWasTold(t *testing.T) {
	t.Parallel()
	names := acmetest.StartDNS(t)
	names.AddZone("a.test")
	names.SetTXT(t, "_acme-challenge.a.test", "one", "two")
	names.AddTXT(t, "_acme-challenge.a.test", "three")
	names.SetTXT(t, "empty.a.test", "one")
	names.SetTXT(t, "empty.a.test")
	names.SetA(t, "elsewhere.a.test", "192.0.2.1")
	names.SetA(t, "elsewhere.a.test", "192.0.2.2")
	names.SetA(t, "back.a.test", "192.0.2.1")
	names.SetA(t, "back.a.test")
	names.SetAAAA(t, "six.a.test", "2001:db8::1")
	names.AddCAA(t, "a.test", "issue", "ca.example")
	names.SetCNAME(t, "www.a.test", "elsewhere.a.test")
	names.Fail(t, "failing.a.test")
	names.Fail(t, "mended.a.test")
	names.Mend(t, "mended.a.test")

	for _, network := range []string{"udp", "tcp"} {
		for question, want := range map[string]string{
			"TXT _acme-challenge.a.test.": `"one" "three" "two"`,
			"TXT empty.a.test.":           "",
			"A any.a.test.":               "127.0.0.1",
			"AAAA any.a.test.":            "",
			"A elsewhere.a.test.":         "192.0.2.2",
			"A back.a.test.":              "127.0.0.1",
			"AAAA six.a.test.":            "2001:db8::1",
			"CAA a.test.":                 `0 issue "ca.example"`,
			"A www.a.test.":               "192.0.2.2 elsewhere.a.test.",
			"A failing.a.test.":           "SERVFAIL",
			"A mended.a.test.":            "127.0.0.1",
			"SOA a.test.":                 "ns.acmetest.invalid. hostmaster.acmetest.invalid. 1 1 1 1 1",
			"SOA any.a.test.":             "",
		} {
			if got := resolve(t, network, names.Addr, question); got != want {
				t.Errorf("%s %s: %q, not %q", network, question, got, want)
			}
		}
	}
}

// resolve asks a question such as "A a.test." and returns the values of the answers, sorted.
func resolve(t *testing.T, network, addr, question string) string {
	t.Helper()
	kind, name, _ := strings.Cut(question, " ")
	reply, _, err := (&dns.Client{Net: network}).ExchangeContext(ctx(t), new(dns.Msg).SetQuestion(name, dns.StringToType[kind]), addr)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Rcode != dns.RcodeSuccess {
		return dns.RcodeToString[reply.Rcode]
	}
	var values []string
	for _, answer := range reply.Answer {
		values = append(values, strings.TrimPrefix(fmt.Sprint(answer), answer.Header().String()))
	}
	slices.Sort(values)
	return strings.Join(values, " ")
}
