//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// floodable is a server that takes every other form and refuses the rest, where it listens, and a context that is done once it
// has had enough handshakes or forms.
func floodable(t *testing.T) (floodArgs, context.Context) {
	t.Helper()
	const enough = 200
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var hellos atomic.Int64
	folder := t.TempDir()
	if err := writeCertificate(folder); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if hellos.Add(1) == enough {
			cancel()
		}
		return nil, nil //nolint:nilnil // is how crypto/tls wants it
	}})
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	server := &http.Server{ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		count := n.Add(1)
		if count%2 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		if count == enough {
			cancel()
		}
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return floodArgs{port: ln.Addr().(*net.TCPAddr).Port, rate: 2000, should: 30 * time.Second, folder: folder}, ctx
}

func TestAFloodOfFormsCountsItsAnswers(t *testing.T) {
	for _, rate := range []int{2000, 0} {
		a, enough := floodable(t)
		a.rate = rate
		did, err := floodForms(enough, a)
		if err != nil || did.Accepted == 0 || did.Refused == 0 || did.Other > 0 || did.Taken < did.Accepted+did.Refused {
			t.Errorf("at %d a second: %+v %v", a.rate, did, err)
		}
	}
}

func TestAFloodOfHandshakesCountsItsAnswers(t *testing.T) {
	a, enough := floodable(t)
	did, err := floodHandshakes(enough, a)
	if err != nil || did.Accepted == 0 || did.Other+did.Failed > 0 || did.Taken > did.Offered+1 {
		t.Errorf("%+v %v", did, err)
	}
}

func TestAProbeCountsWhatIsLost(t *testing.T) {
	a, _ := floodable(t)
	terms, err := trusting(filepath.Join(a.folder, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.port}).String()
	p := probe{address: address, host: hosts[0], terms: terms, lines: 2, each: 50}
	if q := p.run(t.Context(), 200*time.Millisecond, 0); q.Asked != 20 || q.Lost != 0 || q.P50 <= 0 || q.P99 < q.P50 {
		t.Errorf("%+v", q)
	}
	p.address = "127.0.0.1:1"
	if q := p.run(t.Context(), 100*time.Millisecond, time.Hour); q.Asked != 10 || q.Lost != 10 || !strings.Contains(q.Why, "refused") {
		t.Errorf("of a server that is not there: %+v", q)
	}
}

func TestAFloodIsToldWhatItWasTold(t *testing.T) {
	a := floodArgs{kind: "forms", port: 4711, rate: 20000, should: 1500 * time.Millisecond, folder: "/some/folder"}
	if got, err := parseFlood(a.strings()); err != nil || got != a {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range [][]string{{floodWord}, {floodWord, "forms", "x", "1", "1s", "/"}} {
		if _, err := parseFlood(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestWhatAFloodMustNotDoIsAnError(t *testing.T) {
	seen := func(p99 time.Duration, lost int) calm { return calm{Staying: quality{P99: p99, Lost: lost}} }
	quiet := seen(time.Millisecond, 0)
	for _, c := range []struct {
		look
		missed string
	}{
		{look{Limits: true, Quiet: quiet, During: seen(2*time.Millisecond, 0)}, ""},
		{look{Limits: true, Quiet: quiet, During: seen(3*time.Millisecond, 0)}, "3.00 times"},
		{look{Limits: true, Quiet: quiet, During: seen(time.Millisecond, 1)}, "lost 1 requests"},
		{look{Limits: false, Quiet: quiet, During: seen(time.Hour, 9)}, ""},
	} {
		c.Row = isolationForms
		var out bytes.Buffer
		b := &bench{out: &out, looks: []look{c.look}}
		b.reportIsolation()
		if got := strings.Join(b.missed, "\n"); c.missed == "" && got != "" || !strings.Contains(got, c.missed) {
			t.Errorf("%+v: %q, want %q", c.look, got, c.missed)
		}
		if !strings.Contains(out.String(), "| forms") {
			t.Errorf("printed:\n%s", &out)
		}
	}
}

func TestPercentiles(t *testing.T) {
	took := []time.Duration{5, 1, 4, 2, 3}
	if percentile(slices.Clone(took), 0.5) != 3 || percentile(took, 1) != 5 || percentile(nil, 0.5) != 0 {
		t.Error("not in the middle, or not at the end")
	}
}
