package main

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// visit makes one request on a connection of its own, and returns what that connection was. Tickets come before the answer.
func (r *running) visit(t *testing.T, terms *tls.Config) tls.ConnectionState {
	t.Helper()
	c, err := tls.Dial("tcp", r.listeners.HTTPS[0].Addr().String(), terms)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if answer, body := says(t, c, "GET / HTTP/1.1\r\nHost: "+terms.ServerName+"\r\nConnection: close\r\n\r\n"); answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", answer.Status, body)
	}
	return c.ConnectionState()
}

// TestSessionsAreResumed goes on with the sessions of a server, and with those of the one that was there before a restart.
// Early data (0-RTT) could be sent again by anyone: it is never taken.
func TestSessionsAreResumed(t *testing.T) {
	s := serve(t, "hosts: {localhost: {default: {respond: {body: x}}}}\n")
	versions := []uint16{tls.VersionTLS12, tls.VersionTLS13}
	terms := make(map[uint16]*tls.Config)
	resumed := func(s *running, version uint16) bool {
		t.Helper()
		state := s.visit(t, terms[version])
		if state.Version != version {
			t.Errorf("%s is spoken", tls.VersionName(state.Version))
		}
		return state.DidResume
	}
	for _, version := range versions {
		terms[version] = &tls.Config{ServerName: "localhost", RootCAs: s.roots, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		if resumed(s, version) || !resumed(s, version) {
			t.Errorf("%s: not resumed by the same server", tls.VersionName(version))
		}
	}
	s.stop()
	tickets := filepath.Join(filepath.Dir(s.file), "data", "keys", "tickets")
	if info, err := os.Stat(tickets); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v", tickets, err)
	}
	again := s.again()
	for _, version := range versions {
		if !resumed(again, version) {
			t.Errorf("%s: not resumed after a restart", tls.VersionName(version))
		}
	}
	again.stop()
	if err := os.Remove(tickets); err != nil {
		t.Fatal(err)
	}
	last := s.again()
	for _, version := range versions {
		if resumed(last, version) || !resumed(last, version) {
			t.Errorf("%s: with new keys", tls.VersionName(version))
		}
	}
}

// TestOpenSSLResumes is TestSessionsAreResumed by another's hand, early data too.
func TestOpenSSLResumes(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: there is no openssl on this machine; TestSessionsAreResumed shows the same by crypto/tls")
	}
	s := serve(t, "hosts: {localhost: {default: {respond: {body: x}}}}\n")
	dir := t.TempDir()
	request := filepath.Join(dir, "request")
	os.WriteFile(request, []byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), 0o600)
	visit := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		command := exec.CommandContext(ctx, openssl, append([]string{"s_client", "-connect", s.listeners.HTTPS[0].Addr().String(), "-servername", "localhost", "-ign_eof"}, args...)...)
		command.Stdin, _ = os.Open(request)
		said, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return string(said)
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		session := filepath.Join(dir, version)
		if said := visit(version, "-sess_out", session); !strings.Contains(said, "\nNew, TLSv1.") || !strings.Contains(said, "200 OK") {
			t.Fatal(said)
		}
		said := visit(version, "-sess_in", session)
		if !strings.Contains(said, "\nReused, TLSv1.") || !strings.Contains(said, "200 OK") {
			t.Errorf("%s is not resumed:\n%s", version, said)
		}
		if version == "-tls1_3" && !strings.Contains(said, "Max Early Data: 0") {
			t.Errorf("tickets allow early data:\n%s", said)
		}
	}
	s.stop()
	s = s.again()
	if said := visit("-tls1_3", "-sess_in", filepath.Join(dir, "-tls1_3")); !strings.Contains(said, "\nReused, TLSv1.3") {
		t.Errorf("after a restart:\n%s", said)
	}
}

// TestSessionsOverQUIC resumes them, and offers a request as early data.
func TestSessionsOverQUIC(t *testing.T) {
	s := serve(t, "hosts: {localhost: {default: {respond: {body: x}}}}\n")
	terms := &tls.Config{ServerName: "localhost", RootCAs: s.roots, NextProtos: []string{http3.NextProtoH3}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	visit := func() quic.ConnectionState {
		t.Helper()
		c, err := quic.DialAddrEarly(ctx, s.listeners.QUIC[0].LocalAddr().String(), terms, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		request, err := http.NewRequestWithContext(ctx, http3.MethodGet0RTT, "https://localhost/", nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := new(http3.Transport)
		defer transport.Close()
		answer, err := transport.NewClientConn(c).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "x" {
			t.Errorf("%s %q %v", answer.Status, body, err)
		}
		return c.ConnectionState()
	}
	for i := range 3 {
		if i == 2 {
			s.stop()
			s = s.again()
		}
		if state := visit(); state.TLS.DidResume != (i > 0) || state.Used0RTT {
			t.Errorf("visit %d: resumed %v, early data %v", i+1, state.TLS.DidResume, state.Used0RTT)
		}
	}
}
