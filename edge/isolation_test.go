package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const twoHosts = `
target_groups:
  slow: {targets: ["SLOW"], health: off}
  fast: {targets: ["FAST"], health: off}
hosts:
  slow.localhost: {default: {forward: slow}, limits: {concurrency: 20}}
  fast.localhost: {default: {forward: fast}}
`

// TestFloodOfOneHostLeavesTheOther floods a host whose target hangs: its limit refuses the rest at once, and
// the other host is answered as before.
func TestFloodOfOneHostLeavesTheOther(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	s := serve(t, twoHosts, "SLOW", slow.URL, "FAST", app(t, "fast").URL)
	client := s.client("h2")
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	refused := make(chan string, 100)
	for range 100 {
		flood.Go(func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://slow.localhost/", nil)
			if answer, err := client.Do(request); err == nil {
				answer.Body.Close()
				refused <- fmt.Sprint(answer.StatusCode, " ", answer.Header.Get("Retry-After") != "")
			}
		})
	}
	for range 80 {
		if got := <-refused; got != "503 true" {
			t.Errorf("a request over the limit: status, Retry-After: %s", got)
		}
	}
	for range 20 {
		if got := fetch(t, s.client("h1"), "GET", "https://fast.localhost/", ""); got.StatusCode != 200 {
			t.Errorf("the other host: %d", got.StatusCode)
		}
	}
	cancel()
	close(hang)
	flood.Wait()
}

const slowAndFast = `
target_groups:
  slow: {targets: ["SLOW"], health: off}
  fast: {targets: ["FAST"], health: off}
hosts:
  slow.localhost: {tls: off, default: {forward: slow}, limits: {concurrency: 10000}}
  fast.localhost: {default: {forward: fast}}
`

// TestSlowClients and its soak open connections that say or read next to nothing and measure what others notice. Their requests
// come without TLS, so that the last are there before the first are cut off, however busy this machine is.
func TestSlowClients(t *testing.T) { slowClients(t, 150) }

func TestSoakSlowClients(t *testing.T) {
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: a long run; make soak runs it")
	}
	slowClients(t, 3000)
}

func slowClients(t *testing.T, n int) {
	big := strings.Repeat("x", 1<<20)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/big" {
			_, _ = io.WriteString(w, big)
		}
	}))
	defer upstream.Close()
	s := serve(t, slowAndFast, "SLOW", upstream.URL, "FAST", app(t, "fast").URL)
	client := s.client("h1")
	before := latency(t, client)

	plain, secure := s.listeners.HTTP[0].Addr().String(), s.listeners.HTTPS[0].Addr().String()
	starts := []struct{ to, text string }{
		{plain, "POST /up HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: 100000\r\n\r\nx"}, // a body that hardly comes
		{plain, "GET /big HTTP/1.1\r\nHost: slow.localhost\r\n\r\n"},                            // an answer that nobody reads
		{plain, "GET / HTTP/1.1\r\nHost: slow.localhost\r\nX-Slow"},                             // slowloris: a head that never ends
		{secure, "\x16\x03\x01\x02\x00\x01"},                                                    // a handshake that never goes on
	}
	var connections []net.Conn
	defer func() {
		for _, c := range connections {
			c.Close()
		}
	}()
	for _, start := range starts {
		for i := range n / len(starts) {
			visitor := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%16))}} // many, lest it be the share of one that is measured
			c, err := visitor.Dial("tcp", start.to)
			if err != nil {
				t.Fatal(err)
			}
			connections = append(connections, c)
			if _, err := io.WriteString(c, start.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	during := latency(t, client)
	t.Logf("%d slow clients: p99 %v → %v", len(connections), before, during)
	if during > 5*before+50*time.Millisecond {
		t.Errorf("others wait %v instead of %v", during, before)
	}
	if open := s.front.Connections().Open; open < len(connections) {
		t.Errorf("%d connections are open: the slow ones were not there to be measured", open)
	}
}

// latency returns the 99th percentile of a few hundred requests, one after the other.
func latency(t *testing.T, client *http.Client) time.Duration {
	t.Helper()
	took := make([]time.Duration, 300)
	for i := range took {
		began := time.Now()
		fetch(t, client, "GET", "https://fast.localhost/", "")
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
