package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestIssuersOfAHost(t *testing.T) {
	own, common := []Issuer{{Name: ZeroSSL}}, []Issuer{{Name: LetsEncryptStaging}, {Name: Local}}
	for _, tt := range []struct {
		name string
		tls  TLS
		host HostTLS
		want []Issuer
	}{
		{"its own come first", TLS{Issuers: common, Email: "a@b.example"}, HostTLS{Issuers: own}, own},
		{"else those of all", TLS{Issuers: common, Email: "a@b.example"}, HostTLS{}, common},
		{"else Let's Encrypt, given an address", TLS{Email: "a@b.example"}, HostTLS{}, []Issuer{{Name: LetsEncrypt}}},
		{"else nobody", TLS{}, HostTLS{}, nil},
		{"nobody for a host with files", TLS{Issuers: common}, HostTLS{Issuers: own, Cert: "a.pem", Key: "a.key"}, nil},
		{"nobody for a host without TLS", TLS{Issuers: common}, HostTLS{Off: true}, nil},
	} {
		c := &Config{TLS: tt.tls}
		equal(t, tt.name, c.IssuersOf(Host{TLS: tt.host}), tt.want)
	}
}

func TestChallengesThatCanWork(t *testing.T) {
	all := Config{Listen: Listen{HTTP: []string{":80"}, HTTPS: []string{":443"}}, TLS: TLS{DNS: DNS{&Route53{}}}}
	noDNS, noHTTP, noHTTPS := all, all, all
	noDNS.TLS.DNS.Route53, noHTTP.Listen.HTTP, noHTTPS.Listen.HTTPS = nil, nil, nil
	public := Issuer{Name: LetsEncrypt}
	for _, tt := range []struct {
		name   string
		c      *Config
		issuer Issuer
		host   string
		want   []string
	}{
		{"all by default", &all, public, "a.example.com", []string{HTTP01, TLSALPN01, DNS01}},
		{"those that are listed", &all, Issuer{Name: ZeroSSL, Challenges: []string{DNS01, HTTP01}}, "a.example.com", []string{HTTP01, DNS01}},
		{"no DNS to write to", &noDNS, public, "a.example.com", []string{HTTP01, TLSALPN01}},
		{"no plain HTTP", &noHTTP, public, "a.example.com", []string{TLSALPN01, DNS01}},
		{"no HTTPS", &noHTTPS, public, "a.example.com", []string{HTTP01, DNS01}},
		{"a wildcard", &all, public, "*.example.com", []string{DNS01}},
		{"a wildcard without DNS", &noDNS, public, "*.example.com", nil},
		{"an IP address", &all, Issuer{Directory: "https://ca/dir"}, "192.0.2.1", []string{HTTP01, TLSALPN01}},
		{"the local CA asks for none", &all, Issuer{Name: Local}, "a.example.com", nil},
	} {
		equal(t, tt.name, tt.c.ChallengesOf(tt.issuer, tt.host), tt.want)
	}
}

func TestAnAddressThatPublicCAsRefuseIsWarnedOf(t *testing.T) {
	for _, tt := range []struct {
		email, tls string
		warned     bool
	}{
		{"you@example.com", "", true},
		{"you@EXAMPLE.org", "", true},
		{"you@example.net", "issuers: [zerossl]", true},
		{"you@shop.example", "issuers: [local, letsencrypt-staging]", true},
		{"you@shop.test", "", true},
		{"you@shop.invalid", "", true},
		{"you@shop.localhost", "", true},
		{"you@mail.example.com", "", false},
		{"you@myexample.com", "", false},
		{"you@example.com.au", "", false},
		{"you@example.com", "issuers: [local]", false},
		{"you@example.com", "issuers: [{directory: 'https://ca.internal/dir'}]", false},
	} {
		file := filepath.Join(t.TempDir(), "edge.yaml")
		text := fmt.Sprintf("tls: {email: %s, %s}\nhosts: {a.example.com: {default: {respond: {}}}}\n", tt.email, tt.tls)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, problems := Load(file, Env{})
		warned := len(problems) == 1 && strings.HasPrefix(problems[0].Error(), file+":1:14: warning: ") && strings.Contains(problems[0].Message, "nobody has mail at")
		if c == nil || warned != tt.warned || !warned && len(problems) > 0 {
			t.Errorf("%s, %s: %v", tt.email, tt.tls, problems)
		}
	}
}

func TestSpellingOfIssuersValues(t *testing.T) {
	for _, tt := range []struct {
		is   string
		good []string
		bad  []string
	}{
		{
			"email",
			[]string{"ops@example.com", "ops+edge@example.co.uk", "o'neil@example.com", "ops@bücher.example"},
			[]string{"", "ops", "@example.com", "ops@", "ops@example", "ops@example..com", "a@b@example.com", "ops@*.example.com", "Ops <ops@example.com>", "a b@example.com", "a,b@example.com", "ops@192.0.2.1", "ops@[::1]", "mailto:ops@example.com"},
		},
		{
			"url",
			[]string{"https://ca.example.com/dir", "https://ca.internal:14000/dir", "https://[::1]:14000/dir", "https://ca.example.com", "https://acme.example.com/v2/DV90?x=1"},
			[]string{"", "ca.example.com", "http://ca.example.com/dir", "https://", "https:///dir", "https://a:b@ca/dir", "https://ca/dir#a", "https://ca/a b", "https://ca:port/", "file:///etc/passwd"},
		},
		{
			"hmac",
			[]string{"c2VjcmV0", "c2VjcmV0MQ", "c2VjcmV0MQ==", "-_-_"},
			[]string{"", "c2VjcmV0M", "c2Vj+/8", "=", "c2V cmV0"},
		},
	} {
		form, _ := newGrammar().form(reflect.TypeFor[string](), tt.is)
		for _, text := range tt.good {
			if _, why, ok := form.read(text, nil); !ok {
				t.Errorf("%s %q: %s", tt.is, text, why)
			}
		}
		for _, text := range tt.bad {
			if v, _, ok := form.read(text, nil); ok {
				t.Errorf("%s %q is taken for %v", tt.is, text, v)
			}
		}
	}
}
