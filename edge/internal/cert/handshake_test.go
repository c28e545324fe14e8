package cert

import (
	"crypto/tls"
	"testing"

	"github.com/onehost/edge/core/config"
)

// served is a Manager that serves hosts of every kind.
func served(t testing.TB) *Manager {
	m := newTestManager(t, t.TempDir())
	set, err := m.Plan(t.Context(), localOnly(map[string]config.Host{
		"www.example.com": {}, "*.customers.of.a.shop.with.a.long.name.example.com": {}, "127.0.0.1": {}, "*": {},
	}))
	if err != nil {
		t.Fatal(err)
	}
	m.Use(set)
	return m
}

// asked are the names of handshakes, by what they are.
var asked = map[string]string{
	"a host":     "www.example.com",
	"a wildcard": "one.customers.of.a.shop.with.a.long.name.example.com",
	"any other":  "somebody.example.net",
}

// TestChoosingAllocatesNothing: neither a certificate for a handshake nor, for each request, whether its connection may bring it.
func TestChoosingAllocatesNothing(t *testing.T) {
	m := served(t)
	for what, name := range asked {
		hello := &tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{"h2", "http/1.1"}}
		connection := &tls.ConnectionState{ServerName: name}
		if n := testing.AllocsPerRun(100, func() {
			terms, err := m.termsFor(hello)
			if c, err2 := m.certificate(hello); terms != nil || c == nil || err != nil || err2 != nil {
				t.Fatal(terms, c, err, err2)
			}
			if !m.Covers(connection, name) {
				t.Fatal("not covered")
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// TestStrangersAreCheap: who scans for hosts makes no configuration for each name that is none.
func TestStrangersAreCheap(t *testing.T) {
	m := newTestManager(t, t.TempDir())
	hello := &tls.ClientHelloInfo{ServerName: "somebody.example.net"}
	if n := testing.AllocsPerRun(100, func() {
		if terms, err := m.termsFor(hello); err != nil || !terms.SessionTicketsDisabled {
			t.Fatal(terms, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCertificateChoice(b *testing.B) {
	m := served(b)
	for what, name := range asked {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			hello := &tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{"h2", "http/1.1"}}
			for b.Loop() {
				if terms, err := m.termsFor(hello); terms != nil || err != nil {
					b.Fatal(terms, err)
				}
				if c, err := m.certificate(hello); c == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCovers(b *testing.B) {
	m := served(b)
	for what, name := range asked {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			connection := &tls.ConnectionState{ServerName: name}
			for b.Loop() {
				if !m.Covers(connection, name) {
					b.Fatal(name)
				}
			}
		})
	}
}
