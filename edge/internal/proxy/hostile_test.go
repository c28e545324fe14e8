package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestWhatAHostileTargetSays: the visitor hears what it amounts to, and the next one nothing of it.
func TestWhatAHostileTargetSays(t *testing.T) {
	hints := strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", maxInterim)
	padded := func(size int) string { // an answer whose head has so many bytes
		head := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Pad: \r\n\r\n"
		return strings.Replace(head, "Pad: ", "Pad: "+strings.Repeat("x", size-len(head)), 1) + "ok"
	}
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	const broken = 1 // instead of a status: the head is 200, what follows it breaks off
	for name, tt := range map[string]struct {
		method, says string
		status       int
		body         string
	}{
		"many hints":                    {"GET", hints + ok, 200, "ok"},
		"too many hints":                {"GET", hints + "HTTP/1.1 103 Early Hints\r\n\r\n" + ok, 502, ""},
		"continue, unasked":             {"GET", "HTTP/1.1 100 Continue\r\n\r\n" + ok, 200, "ok"},
		"continue without end":          {"POST", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100) + ok, 502, ""},
		"hints that are malformed":      {"GET", "HTTP/1.1 103 Early Hints\r\nA b\r\n\r\n" + ok, 502, ""},
		"hints with a body":             {"GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + ok, 502, ""},
		"a switch that nobody asked":    {"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello", 502, ""},
		"a switch with a length":        {"GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello", 502, ""},
		"HEAD with a body":              {"HEAD", ok, 200, ""},
		"HEAD with chunks":              {"HEAD", chunked + "2\r\nok\r\n0\r\n\r\n", 200, ""},
		"204 with a body":               {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204, ""},
		"204 with chunks":               {"GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 204, ""},
		"304 with a body":               {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", 304, ""},
		"a second answer":               {"GET", ok + poison, 200, "ok"},
		"a second answer behind chunks": {"GET", chunked + "2\r\nok\r\n0\r\n\r\n" + poison, 200, "ok"},
		"a body that is too short":      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", broken, "ok"},
		"a head of the limit":           {"GET", padded(maxAnswerHead), 200, "ok"},
		"a head beyond the limit":       {"GET", padded(maxAnswerHead + 1), 502, ""},
		"a head without end":            {"GET", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1<<20), 502, ""},
		"a line without end":            {"GET", strings.Repeat("HTTP/1.1", 1<<20), 502, ""},
		"half a head":                   {"POST", "HTTP/1.1 200 OK\r\nContent-Le", 502, ""},
		"an enormous chunk":             {"GET", chunked + "fffffffffffffff\r\nok", broken, "ok"},
		"a chunk beyond all bounds":     {"GET", chunked + "2\r\nok\r\nffffffffffffffffff\r\n", broken, "ok"},
		"a chunk's size without end":    {"GET", chunked + "2\r\nok\r\n0" + strings.Repeat("0", 1<<20), broken, "ok"},
		"a flood of extensions":         {"GET", chunked + strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\no\r\n", 100), broken, strings.Repeat("o", 81)},
		"a flood of trailers":           {"GET", chunked + "2\r\nok\r\n0\r\n" + strings.Repeat("A: b\r\n", 1<<20), broken, "ok"},
		"a trailer without end":         {"GET", chunked + "2\r\nok\r\n0\r\nA: " + strings.Repeat("b", 1<<20), broken, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			h, pools := pooled(t, many(t, nil, func(c net.Conn) {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					head := readHead(r)
					if strings.Contains(head, " /next ") {
						_, _ = io.WriteString(c, ok)
					} else if head == "" || !tells(c, tt.says) || tt.status == broken || strings.Contains(name, "half") {
						return
					}
				}
			}))
			askWith(h, "GET", "/next", "")
			x, r := exchangetest.New(tt.method, "/")
			r.Serve(h)
			body := r.Body.String()
			switch tt.status {
			case broken:
				if r.Status != 200 && r.Status != 502 || r.Aborted == nil && r.Status == 200 || r.Status == 200 && !strings.HasPrefix(tt.body, body) {
					t.Errorf("status %d, %.100q, aborted: %v", r.Status, body, r.Aborted)
				}
			case 502:
				if r.Status != 502 || !strings.HasPrefix(x.Record.ErrorReason, "target_") || x.Record.Tries != 1 {
					t.Errorf("status %d, reason %q, %d tries", r.Status, x.Record.ErrorReason, x.Record.Tries)
				}
			default:
				if r.Status != tt.status || body != tt.body || r.Aborted != nil {
					t.Errorf("status %d, reason %q, %q, aborted: %v", r.Status, x.Record.ErrorReason, body, r.Aborted)
				}
			}
			if r := askWith(h, "GET", "/next", ""); r.Status != 200 || r.Body.String() != "ok" {
				t.Errorf("the next visitor: status %d, %.100q", r.Status, &r.Body)
			}
			allIsLeft(t, pools)
		})
	}
}

// TestConnectionsThatAreClosedBetweenRequests: whenever a target does that, who asks with GET does not notice, and no POST comes twice.
func TestConnectionsThatAreClosedBetweenRequests(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	for kind, config := range map[string]*tls.Config{"plain": nil, "TLS": {Certificates: borrowed.TLS.Certificates}} {
		t.Run(kind, func(t *testing.T) {
			var posts sync.Map
			h, pools := pooled(t, many(t, config, func(c net.Conn) {
				defer c.Close()
				r := bufio.NewReader(c)
				for range 1 + rand.IntN(3) { // and then it ends at some moment
					line := strings.Fields(readHead(r))
					if len(line) < 2 {
						return
					}
					if line[0] == "POST" {
						if _, again := posts.LoadOrStore(line[1], true); again {
							t.Errorf("POST %s came twice", line[1])
						}
						_, _ = io.ReadFull(r, make([]byte, len("hello")))
					}
					if !tells(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(line[1]), line[1])) {
						return
					}
				}
				for range rand.IntN(3) * 100 {
					_ = rand.Uint64()
				}
			}))
			times := map[bool]int{true: 50, false: 300}[config != nil]
			var all sync.WaitGroup
			for v := range 4 {
				all.Go(func() {
					for i := range times {
						path := fmt.Sprintf("/%d-%d", v, i)
						if r := askWith(h, "GET", path, ""); r.Status != 200 || r.Body.String() != path {
							t.Errorf("GET %s: status %d, %.100q", path, r.Status, &r.Body)
						}
						r := askWith(h, "POST", path, "hello") // it can't always be known whether the target has seen it
						if r.Status == 200 && r.Body.String() != path || r.Status != 200 && r.Status != 502 {
							t.Errorf("POST %s: status %d, %.100q", path, r.Status, &r.Body)
						}
					}
				})
			}
			all.Wait()
			allIsLeft(t, pools)
		})
	}
}

// TestTargetsThatDoNothing: each wait has its end, and soon after the limit.
func TestTargetsThatDoNothing(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil)
	defer borrowed.Close()
	config := &tls.Config{Certificates: borrowed.TLS.Certificates}
	large := func() io.Reader { return io.LimitReader(strings.NewReader(strings.Repeat("x", 32<<20)), 32<<20) }
	for _, tt := range []struct {
		name   string
		tls    *tls.Config
		scheme string
		does   func(c net.Conn, over chan struct{}) // until the visitor has his answer
		body   io.Reader
		reason string
	}{
		{"it never answers", nil, "http", func(c net.Conn, _ chan struct{}) { _, _ = io.Copy(io.Discard, c) }, nil, "target_timeout"},
		{"it never reads a large body", nil, "http", func(_ net.Conn, over chan struct{}) { <-over }, large(), "target_timeout"},
		{"it never reads a large body over TLS", config, "https", func(c net.Conn, over chan struct{}) { _ = c.(*tls.Conn).Handshake(); <-over }, large(), "target_timeout"},
		{"it never shakes hands", nil, "https", func(c net.Conn, _ chan struct{}) { _, _ = io.Copy(io.Discard, c) }, nil, "target_connect_timeout"},
		{"it says its head byte by byte", nil, "http", func(c net.Conn, _ chan struct{}) {
			for tells(c, "H") {
				time.Sleep(10 * time.Millisecond)
			}
		}, nil, "target_timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			url := many(t, tt.tls, func(c net.Conn) {
				defer c.Close()
				tt.does(c, over)
			})
			h, pools := pooled(t, tt.scheme+url[strings.Index(url, ":"):])
			options := []exchangetest.Option{}
			if tt.body != nil {
				options = append(options, exchangetest.BodyFrom(tt.body, 32<<20))
			}
			x, r := exchangetest.New("POST", "/", options...)
			x.Idle = 200 * time.Millisecond
			begin := time.Now()
			r.Serve(h)
			close(over)
			if took := time.Since(begin); r.Status != 504 || x.Record.ErrorReason != tt.reason || took > 3*time.Second {
				t.Errorf("status %d, reason %q, after %s", r.Status, x.Record.ErrorReason, took)
			}
			allIsLeft(t, pools)
		})
	}
}
