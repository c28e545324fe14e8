package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestDrain asks a server to stop while a request is under way: that is answered, health says 503, and nobody new gets in.
func TestDrain(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			arrived, release := make(chan struct{}), make(chan struct{})
			slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(arrived)
					<-release
				}
				io.WriteString(w, "answered")
			}))
			defer slow.Close()
			s := serve(t, oneGroup, "APP", slow.URL, "NOTE", "")
			client := s.client(protocol)
			answer := make(chan fetched, 1)
			go func() { answer <- fetch(t, client, "GET", "https://api.localhost/slow", "") }()
			<-arrived
			stopped := make(chan error, 1)
			go func() { stopped <- s.stop() }()
			for s.Serving() {
				time.Sleep(time.Millisecond) // there is no event to see from outside; the deadline is the test's
			}
			select {
			case err := <-stopped:
				t.Errorf("stopped with a request under way: %v", err)
			default:
			}
			close(release)
			if got := <-answer; got.StatusCode != 200 || got.text != "answered" {
				t.Errorf("%d %q", got.StatusCode, got.text)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if c, err := net.Dial("tcp", s.listeners.HTTPS[0].Addr().String()); err == nil {
				c.Close()
				t.Error("a stopped server accepts connections")
			}
		})
	}
}

// TestDrainHasAnEnd stops a server whose target never answers: the request is cut off when shutdown has passed, which nobody
// takes for the visitor's doing.
func TestDrainHasAnEnd(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			arrived := make(chan struct{})
			never := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(arrived)
					<-r.Context().Done()
				}
			}))
			defer never.Close()
			s := serve(t, oneGroup, "APP", never.URL, "NOTE", "", "shutdown: 5s", "shutdown: 300ms")
			client := s.client(protocol)
			ended := make(chan error, 1)
			go func() {
				answer, err := client.Get("https://api.localhost/slow")
				if err == nil {
					answer.Body.Close()
				}
				ended <- err
			}()
			<-arrived
			began := time.Now()
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			if err := <-ended; err == nil {
				t.Error("a visitor who was cut off got an answer")
			}
			s.logged(t, `"path":"/slow","status":0,.*"error_reason":"shutdown"`)
		})
	}
}
