package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const apiAndForms = `
target_groups:
  fast: {targets: ["FAST"], health: off}
forms:
  contact: {}
hosts:
  api.localhost: {default: {forward: fast}}
  www.localhost:
    rules:
      - {path: /forms/*, forms: true}
    default: {forward: fast}
`

// TestFloodOfAFormLeavesTheAPI posts a form from some places at once, far beyond what it takes.
func TestFloodOfAFormLeavesTheAPI(t *testing.T) {
	s := serve(t, apiAndForms, "FAST", app(t, "fast").URL)
	ctx, cancel := context.WithCancel(t.Context())
	var taken, refused atomic.Int64
	flooded := make(chan struct{})
	var flood sync.WaitGroup
	for _, protocol := range []string{"h1", "h1", "h2", "h2"} {
		client := s.client(protocol)
		flood.Go(func() {
			for ctx.Err() == nil {
				r := fetchQuietly(ctx, client, "https://www.localhost/forms/contact")
				if r == http.StatusTooManyRequests && refused.Add(1) == 20 {
					close(flooded)
				} else if r != 0 && r < 400 {
					taken.Add(1)
				}
			}
		})
	}
	<-flooded
	api := s.client("h1")
	for range 50 {
		if got := fetch(t, api, "GET", "https://api.localhost/", ""); got.StatusCode != http.StatusOK {
			t.Errorf("the API: %d", got.StatusCode)
		}
	}
	cancel()
	flood.Wait()
	if n := taken.Load(); n < 1 || n > 12 { // a burst, and what a slow machine has time for
		t.Errorf("of one address the form took %d, 10 in a minute is its default", n)
	}
}

// fetchQuietly posts and returns the status, 0 for none.
func fetchQuietly(ctx context.Context, client *http.Client, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return 0
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", "https://www.localhost")
	answer, err := client.Do(request)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestOneClientCannotHaveAHostForItself has one client hold what it can get while another comes now and then.
func TestOneClientCannotHaveAHostForItself(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	s := serve(t, twoHosts, "SLOW", slow.URL, "FAST", slow.URL, "public_port: 443", "public_port: 443, trusted_proxies: [127.0.0.0/8]")
	visitor := func(path string) int {
		return fetch(t, s.client("h2"), "GET", "https://slow.localhost"+path, "", "X-Forwarded-For: 198.51.100.1").StatusCode
	}
	if got := visitor("/"); got != http.StatusOK {
		t.Fatalf("before the flood: %d", got)
	}
	client := s.client("h2")
	refused := make(chan int, 100)
	var flood sync.WaitGroup
	for range 50 {
		flood.Go(func() {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://slow.localhost/hold", http.NoBody)
			request.Header.Set("X-Forwarded-For", "192.0.2.1")
			answer, err := client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				refused <- answer.StatusCode
			}
		})
	}
	for range 40 { // half of the 20 places is one client's
		if got := <-refused; got != http.StatusServiceUnavailable {
			t.Errorf("refused by %d", got)
		}
	}
	for range 10 {
		if got := visitor("/"); got != http.StatusOK {
			t.Errorf("another client: %d", got)
		}
	}
	close(hang)
	flood.Wait()
}

// TestFloodOfHandshakesLeavesVisitors opens many connections at once that say hello and leave.
func TestFloodOfHandshakesLeavesVisitors(t *testing.T) {
	s := serve(t, apiAndForms, "FAST", app(t, "fast").URL)
	address := s.listeners.HTTPS[0].Addr().String()
	api := s.client("h1")
	fetch(t, api, "GET", "https://api.localhost/", "")
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	var opened atomic.Int64
	underWay := make(chan struct{})
	for i := range 32 {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i%4), 1)}, Timeout: time.Second}
		flood.Go(func() {
			for ctx.Err() == nil {
				c, err := dialer.DialContext(ctx, "tcp", address)
				if err != nil {
					continue
				}
				_ = c.SetDeadline(time.Now().Add(time.Second))
				_ = tls.Client(halfway{c}, &tls.Config{ServerName: "api.localhost"}).Handshake() // never comes to its end
				c.Close()
				if opened.Add(1) == 200 {
					close(underWay)
				}
			}
		})
	}
	<-underWay
	for i := range 20 {
		if got := fetch(t, api, "GET", "https://api.localhost/", ""); got.StatusCode != http.StatusOK {
			t.Errorf("over a connection that was there: %d", got.StatusCode)
		}
		if got := fetch(t, s.client([]string{"h1", "h2"}[i%2]), "GET", "https://api.localhost/", ""); got.StatusCode != http.StatusOK {
			t.Errorf("a newcomer: %d", got.StatusCode)
		}
	}
	cancel()
	flood.Wait()
	for deadline := time.Now().Add(20 * time.Second); s.front.Connections().Active > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the flood is over, and %d of its connections are there", s.front.Connections().Active)
		}
	}
	if got := fetch(t, s.client("h1"), "GET", "https://api.localhost/", ""); got.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d", got.StatusCode)
	}
}

// halfway ends when the server's part of a handshake comes.
type halfway struct{ net.Conn }

func (h halfway) Read([]byte) (int, error) {
	var answer [1]byte
	_, err := h.Conn.Read(answer[:])
	return 0, errors.Join(errors.New("enough"), err)
}
