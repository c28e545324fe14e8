//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func golden(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWhatTheToolsSayIsRead(t *testing.T) {
	parsers := map[string]func(string) (outcome, error){"wrk": parseWrk, "h2load": parseH2load}
	for name, want := range map[string]outcome{
		"wrk":            {requests: 12544, took: time.Second},
		"wrk-errors":     {requests: 12, errors: 19710, took: 1010 * time.Millisecond},
		"h2load":         {requests: 19335, took: time.Second},
		"h2load-errors":  {requests: 3, errors: 17, took: 8230 * time.Microsecond},
		"h2load-refused": {errors: 2, took: 738 * time.Microsecond},
	} {
		tool, _, _ := strings.Cut(name, "-")
		text := golden(t, name)
		if got, err := parsers[tool](text); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
		if got, err := parsers[tool](text[:len(text)/3]); err == nil {
			t.Errorf("a third of %s is %+v", name, got)
		}
	}
}

func FuzzParseTools(f *testing.F) {
	for _, name := range []string{"wrk", "wrk-errors", "h2load", "h2load-errors", "h2load-refused"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (outcome, error){parseWrk, parseH2load} {
			if o, err := parse(text); err == nil && (o.errors < 0 || o.took < 0) {
				t.Errorf("%+v", o)
			}
		}
		_, _ = parseAllocations(text)
	})
}

func TestLatencyIsOfWhatBeganAfterTheOpening(t *testing.T) {
	var log strings.Builder
	for i := range 1000 { // one a millisecond; a slow start
		took := 100_000
		if i >= 500 {
			took = i - 499 // 1 to 500
		}
		fmt.Fprintf(&log, "%d\t200\t%d\n", 1795440254972323+i*1000, took)
	}
	p50, p99, err := parseLatencies(strings.NewReader(log.String()), 500*time.Millisecond)
	if err != nil || p50 != 250*time.Microsecond || p99 != 495*time.Microsecond {
		t.Error(p50, p99, err)
	}
	for _, bad := range []string{"", "1\t200\t3\n", "1\t200\n", "a\t200\tb\n", strings.Repeat("1", 1<<17)} {
		if p50, _, err := parseLatencies(strings.NewReader(bad), time.Second); err == nil {
			t.Errorf("%.20q has a p50 of %v", bad, p50)
		}
	}
}

func FuzzParseLatencies(f *testing.F) {
	f.Add("1795440254972323\t200\t17195\n1795440254972352\t200\t17246\n")
	f.Fuzz(func(t *testing.T, log string) {
		_, _, _ = parseLatencies(strings.NewReader(log), 0)
	})
}

func TestAllocationsAreThoseOfTheWorst(t *testing.T) {
	const text = `goos: linux
BenchmarkForward/small-2   	   10000	    112344 ns/op	    2912 B/op	      12 allocs/op
BenchmarkForward/large-2   	   10000	    112344 ns/op	 584.21 MB/s	    2912 B/op	       7 allocs/op
BenchmarkForwardBody-2     	     100	   1112344 ns/op	   29120 B/op	     999 allocs/op
PASS
`
	if n, ok := parseAllocations(text); n != 12 || !ok {
		t.Error(n, ok)
	}
	if _, ok := parseAllocations("PASS\n"); ok {
		t.Error("no benchmark has allocations")
	}
}

// material is a folder of certificate and files, and who trusts it.
func material(t *testing.T) (folder string, terms *tls.Config) {
	t.Helper()
	folder = t.TempDir()
	if err := writeMaterial(folder); err != nil {
		t.Fatal(err)
	}
	terms, err := trusting(filepath.Join(folder, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return folder, terms
}

// serving is a TLS server with our certificate; its port is an ephemeral one.
func serving(t *testing.T, folder string, h http.HandlerFunc) int {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // wrk resets its connections
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func good(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = w.Write(make([]byte, 1024))
}

func bad(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

func TestEveryLoadCountsWhatWentWellAndWhatDidNot(t *testing.T) {
	tools(t, "wrk", "h2load")
	t.Parallel()
	folder, _ := material(t)
	l := loads{folder}
	well, ill := serving(t, folder, good), serving(t, folder, bad)
	for name, load := range map[string]load{
		"wrk": l.wrk("/", 1), "h1": l.h2load("/up", "--h1", "-c2", "-n10", "--data=upload"), "h2": l.h2load("/", "-c2", "-m4", "-n100"), "handshake": l.handshakes(1),
	} {
		if o, err := load(t.Context(), well); err != nil || o.requests == 0 || o.errors > 0 || o.took <= 0 {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		if o, err := load(t.Context(), ill); err != nil || o.requests > 0 || o.errors == 0 {
			t.Errorf("%s of a server that answers 502: %+v, %v", name, o, err)
		}
	}
}

func TestHandshakesAreNeverResumed(t *testing.T) {
	folder, terms := material(t)
	port := serving(t, folder, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume || r.TLS.Version != tls.VersionTLS13 || r.TLS.CurveID != tls.X25519 {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	if o := handshakes(t.Context(), fmt.Sprintf("127.0.0.1:%d", port), terms, 100*time.Millisecond); o.requests == 0 || o.errors > 0 {
		t.Errorf("%+v", o)
	}
}

func TestIdleConnectionsAreHeld(t *testing.T) {
	folder, terms := material(t)
	address := fmt.Sprintf("127.0.0.1:%d", serving(t, folder, good))
	held, err := hold(t.Context(), 20, address, terms)
	if err != nil || len(held) != 20 {
		t.Fatal(len(held), err)
	}
	defer closeAll(held)
	for _, c := range held {
		if n, err := ask(c, "keep-alive"); err != nil || n != 1024 {
			t.Fatal("a connection was not kept:", n, err)
		}
	}
	if _, err := hold(t.Context(), 1, fmt.Sprintf("127.0.0.1:%d", serving(t, folder, bad)), terms); err == nil {
		t.Error("a 502 is taken for an answer")
	}
}

func TestTheUpstreamAnswersOneAfterTheOther(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serveUpstream(ln) }()
	defer func() { ln.Close(); <-ended }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(c)
	for _, r := range []struct {
		request string
		size    int64
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1 << 10},
		{"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", 10 << 20},
		{"POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 2},
		{"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 2},
		{"GET /last HTTP/1.1\r\nHost: a\r\n\r\n", 1 << 10},
	} {
		if _, err := io.WriteString(c, r.request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, response.Body); err != nil || n != r.size || response.StatusCode != 200 {
			t.Errorf("%.20q: %d bytes, %v", r.request, n, err)
		}
	}
	if _, err := readRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"))); err == nil {
		t.Error("a length below 0 is taken")
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("POST /up HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = readRequest(bufio.NewReader(bytes.NewReader(data))) })
}
