package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// TestLimitsOfHostAndRule holds that both limits apply, whichever is the tighter one, and that who is refused hears when to come back.
func TestLimitsOfHostAndRule(t *testing.T) {
	s := serve(t, `
hosts:
  rate.localhost:
    limits: {rate: 2/h, burst: 3}
    rules: [{path: /tight, limits: {rate: 1/h, burst: 1}, respond: {body: x}}]
    default: {respond: {body: x}}
  body.localhost:
    limits: {body: 100}
    rules:
      - {path: /tight, limits: {body: 10}, respond: {body: x}}
      - {path: /wide, limits: {body: 1KiB}, respond: {body: x}}
    default: {respond: {body: x}}
`)
	client := s.client("h2")
	for i, step := range []struct {
		path   string
		status int
	}{{"tight", 200}, {"tight", 429}, {"", 200}, {"", 429}, {"tight", 429}} {
		got := fetch(t, client, "GET", "https://rate.localhost/"+step.path, "")
		seconds, err := strconv.Atoi(got.Header.Get("Retry-After"))
		if got.StatusCode != step.status || (step.status == 429) != (err == nil && seconds > 0) {
			t.Errorf("request %d, /%s: %d, Retry-After %q", i+1, step.path, got.StatusCode, got.Header.Get("Retry-After"))
		}
	}
	for _, protocol := range protocols {
		for _, test := range []struct {
			path   string
			bytes  int
			status int
		}{{"tight", 10, 200}, {"tight", 11, 413}, {"wide", 100, 200}, {"wide", 101, 413}, {"", 100, 200}, {"", 101, 413}} {
			got := fetch(t, s.client(protocol), "POST", "https://body.localhost/"+test.path, strings.Repeat("x", test.bytes))
			if got.StatusCode != test.status {
				t.Errorf("%s: %d bytes to /%s: %d, want %d", protocol, test.bytes, test.path, got.StatusCode, test.status)
			}
		}
	}
}

// TestConcurrencyOfHostAndRule fills the places of a rule and then of its host.
func TestConcurrencyOfHostAndRule(t *testing.T) {
	arrived, release := make(chan struct{}, 4), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/free" {
			arrived <- struct{}{}
			<-release
		}
	}))
	defer upstream.Close()
	s := serve(t, `
target_groups: {app: {targets: ["APP"], health: off}}
hosts:
  localhost:
    health: /healthz
    limits: {concurrency: 2}
    rules: [{path: /tight, limits: {concurrency: 1}, forward: app}]
    default: {forward: app}
`, "APP", upstream.URL)
	for _, protocol := range protocols {
		client := s.client(protocol)
		answered := make(chan int, 2)
		hold := func(path string) {
			go func() { answered <- fetch(t, client, "GET", "https://localhost"+path, "").StatusCode }()
			<-arrived
		}
		expect := func(path string, status int) {
			t.Helper()
			if got := fetch(t, client, "GET", "https://localhost"+path, ""); got.StatusCode != status || (status == 503) != (got.Header.Get("Retry-After") != "") {
				t.Errorf("%s: %s: %d, want %d; Retry-After %q", protocol, path, got.StatusCode, status, got.Header.Get("Retry-After"))
			}
		}
		hold("/tight")
		expect("/tight", 503)
		expect("/free", 200)
		hold("/slow")
		expect("/free", 503)
		expect("/healthz", 200) // a busy host is not a dead one
		release <- struct{}{}
		release <- struct{}{}
		if a, b := <-answered, <-answered; a != 200 || b != 200 {
			t.Errorf("%s: those inside got %d and %d", protocol, a, b)
		}
		expect("/free", 200)
	}
}
