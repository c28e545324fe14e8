package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/cert/preflight"
)

func TestPreflightSaysWhatIsInTheWay(t *testing.T) {
	file := configure(t, "tls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {}}}, '*.app.localhost': {default: {respond: {}}}}\n")
	for _, tt := range []struct {
		args   string
		status int
		out    string // held by stdout
		err    string // held by stderr
	}{
		{"preflight", 0, "from local", ""},
		{"preflight LOCALHOST", 0, "localhost  configuration  ok", ""},
		{"preflight a.app.localhost", 0, "*.app.localhost  configuration", ""},
		{"preflight example.com", 1, "no such host or alias", "1 finding would prevent a certificate"},
		{"preflight https://localhost/", 2, "", "it is only the name"},
	} {
		status, out, errOut := command(t, strings.Fields(tt.args+" -c "+file)...)
		if status != tt.status || !strings.Contains(out, tt.out) || !strings.Contains(errOut, tt.err) {
			t.Errorf("%s: %d\n%s%s", tt.args, status, out, errOut)
		}
	}
	status, out, _ := command(t, "preflight", "example.com", "--json", "-c", file)
	var findings []preflight.Finding
	if err := json.Unmarshal([]byte(out), &findings); err != nil || status != 1 || !preflight.Failed(findings) {
		t.Errorf("%d %v\n%s", status, err, out)
	}
}

// TestPreflightKnowsEdgeByItsAnswer holds what preflight knows edge by: each answer names its request, and on plain HTTP
// it is a redirect.
func TestPreflightKnowsEdgeByItsAnswer(t *testing.T) {
	r := serve(t, "hosts: {localhost: {default: {respond: {body: x}}}}")
	client := r.client("h1")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for scheme, want := range map[string]int{"http": http.StatusMovedPermanently, "https": http.StatusOK} {
		resp, err := client.Get(scheme + "://localhost/.well-known/acme-challenge/unknown")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %s %v", scheme, resp.Status, resp.Header)
		}
	}
}
