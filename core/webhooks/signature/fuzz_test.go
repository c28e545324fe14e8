package signature

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"github.com/onehost/edge/core/config"
)

// A sample is a delivery that is good.
type sample struct {
	v *Verifier
	r *Request
}

// roundTrip answers without a network.
type roundTrip func() []byte

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(f())), Request: r}, nil
}

// samples has one of every scheme but none and paypal, which needs a provider.
func samples(t testing.TB) (all []sample) {
	for _, vec := range vectors(t) {
		client := &http.Client{Transport: roundTrip(func() []byte { return []byte(vec.PEM) })}
		all = append(all, sample{verifier(t, vec.source(), client), vec.request()})
	}
	mac := func(text string) []byte { return sumOf(newMACKey(sha256.New, []byte("secret")), text) }
	inBase64 := base64.StdEncoding.EncodeToString
	add := func(s config.Webhook, r *Request) { all = append(all, sample{verifier(t, s, nil), r}) }
	add(scheme1("x", "secret"), post(`{"a":1}`, "X-Twitter-Webhooks-Signature", "sha256="+inBase64(mac(`{"a":1}`))))
	add(scheme1("meta", "secret"), post(`{"object":"page"}`, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac(`{"object":"page"}`))))
	add(scheme1("graph", "secret"), post(`{"value":[{"clientState":"secret"}]}`))
	add(scheme1("bearer", "secret"), post(`{}`, "Authorization", "Bearer secret"))
	add(scheme1("basic", "user:secret"), post(`{}`, "Authorization", "Basic "+inBase64([]byte("user:secret"))))
	add(generic1(config.HMAC{Header: "X-Sig", Timestamp: "X-Time", ID: "header:X-Id", Signed: "{id}.{timestamp}.{body}.{url}"}),
		post(`{}`, "X-Time", "1800000000", "X-Id", "a", "X-Sig", hex.EncodeToString(mac("a.1800000000.{}.https://hooks.example.com/source"))))
	return all
}

// FuzzVerify: whatever comes, nothing panics, and of what is signed nothing but what was signed is good.
func FuzzVerify(f *testing.F) {
	all := samples(f)
	for i, s := range all {
		if _, err := s.v.Verify(context.Background(), s.r); err != nil {
			f.Fatal(i, err)
		}
		for name := range s.r.Header {
			f.Add(byte(i), name, s.r.Header.Get(name), s.r.Body, "/source?crc_token=a&validationToken=b&hub.challenge=c")
		}
		f.Add(byte(i), "Webhook-Signature", "v1,", []byte("{}"), "")
	}
	f.Fuzz(func(t *testing.T, which byte, name, value string, body []byte, path string) {
		s := all[int(which)%len(all)]
		r := *s.r
		r.Header = r.Header.Clone()
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		r.Body = body
		if path != "" {
			r.URL = "https://hooks.example.com" + path
		}
		e, err := s.v.Verify(context.Background(), &r)
		if err == nil && (e.ID == "" || len(e.ID) > maxID || len(e.Type) > maxID) {
			t.Fatalf("%+v", e)
		}
		if err == nil && !same(s, &r) {
			t.Fatalf("%s: %q with %q is good: %+v", s.v.source.Verify.Scheme, body, r.Header, e)
		}
		if err != nil {
			reasonOf(t, err)
		}
		r.Method = [...]string{http.MethodGet, http.MethodPost}[len(body)%2]
		if s.v.source.Verify.Scheme != "sns" { // which would confirm it
			_, _ = s.v.Handshake(context.Background(), &r)
		}
	})
}

// same reports whether a request says what the sample does, as far as the scheme signs it.
func same(s sample, r *Request) bool {
	switch s.v.source.Verify.Scheme {
	case "sns":
		was, _ := readMessage(s.r.Body)
		is, err := readMessage(r.Body)
		if err != nil {
			return false
		}
		return string(must(was.signed())) == string(must(is.signed()))
	case "twilio":
		return bytes.Equal(s.r.Body, r.Body) || string(joined(readForm(s.r.Body))) == string(joined(readForm(r.Body)))
	case "bearer", "basic":
		return r.Header.Get("Authorization") != "" // the secret is in it, or it would not be good
	case "graph":
		return bytes.Contains(r.Body, []byte(`secret`)) || bytes.Contains(r.Body, []byte(`\u`))
	}
	return bytes.Equal(s.r.Body, r.Body)
}

// FuzzAnySecret: what a secret can't be is said, and nothing panics.
func FuzzAnySecret(f *testing.F) {
	f.Add("whsec_aGk=", "{timestamp}.{body}", "a.0.b")
	f.Add("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "{{body}", "header:X")
	f.Fuzz(func(t *testing.T, secret, signed, spec string) {
		for _, scheme := range []string{"standard", "stripe", "github", "slack", "shopify", "twilio", "paypal", "linear", "paddle", "sendgrid", "discord", "x", "meta", "sns", "graph", "bearer", "basic", "none", "other"} {
			if v, err := New(scheme1(scheme, secret), nil); err == nil {
				_, err := v.Verify(context.Background(), post("{}"))
				if err == nil && scheme != "none" {
					t.Fatalf("%s: a delivery without anything is good", scheme)
				}
			}
		}
		s := generic1(config.HMAC{Header: "X", Signed: signed, Timestamp: "T", ID: spec, Type: spec})
		if v, err := New(s, nil); err == nil {
			if _, err := v.Verify(context.Background(), post("{}", "X", "00", "T", "1")); err == nil {
				t.Fatal("it is good")
			}
		}
		_ = checkSpec(spec)
		_, _ = Key(spec, http.Header{"X": {secret}}, []byte(signed))
		match(spec, secret)
	})
}
