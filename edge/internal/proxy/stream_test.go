package proxy

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// bothFronts runs a test over h1 and over h2.
func bothFronts(t *testing.T, test func(t *testing.T, secure bool)) {
	t.Run("h1", func(t *testing.T) { test(t, false) })
	t.Run("h2", func(t *testing.T) { test(t, true) })
}

func TestServerSentEvents(t *testing.T) {
	bothFronts(t, func(t *testing.T, secure bool) {
		next := make(chan string)
		for kind, url := range bothTargets(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				_ = http.NewResponseController(w).Flush()
				select {
				case s := <-next:
					_, _ = io.WriteString(w, "data: "+s+"\n\n")
				case <-r.Context().Done():
					close(next)
					return
				}
			}
		}) {
			next = make(chan string)
			home := open(t, secure, to(t, url))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", home.url, nil)
			resp, err := home.client.Do(req) // the head comes before any event does
			if err != nil {
				t.Fatal(err)
			}
			events := bufio.NewReader(resp.Body)
			for i := range 3 {
				next <- fmt.Sprint(i)
				if line, err := events.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
					t.Errorf("%s: %q, %v", kind, line, err)
				}
				_, _ = events.ReadString('\n')
			}
			cancel()
			<-next // the target learns that the visitor has left
			resp.Body.Close()
			if record := <-home.records; record.ErrorReason != "client_gone" {
				t.Errorf("%s: reason %q", kind, record.ErrorReason)
			}
		}
	})
}

func TestLargeBodiesBothWaysAtOnce(t *testing.T) {
	bothFronts(t, func(t *testing.T, secure bool) {
		for kind, url := range bothTargets(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Trailer", "X-Length")
			n, _ := io.Copy(flusher{w}, r.Body)
			w.Header().Set("X-Length", fmt.Sprint(n))
		}) {
			home := open(t, secure, to(t, url))
			const size = 2_000_000
			sent := sha256.New()
			resp, err := home.client.Post(home.url, "", io.TeeReader(io.LimitReader(rand.Reader, size), sent))
			if err != nil {
				t.Fatal(kind, err)
			}
			got := sha256.New()
			n, err := io.Copy(got, resp.Body)
			resp.Body.Close()
			if n != size || err != nil || string(got.Sum(nil)) != string(sent.Sum(nil)) || resp.Trailer.Get("X-Length") != fmt.Sprint(size) {
				t.Errorf("%s: %d bytes, %v, trailers %v", kind, n, err, resp.Trailer)
			}
			if record := <-home.records; record.BytesIn != size || record.BytesOut != size || record.Transfer <= 0 || record.Wait <= 0 || record.Connect <= 0 {
				t.Errorf("%s: record %+v", kind, record)
			}
		}
	})
}

type flusher struct{ http.ResponseWriter }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	_ = http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

func TestTargetDiesWithinTheBody(t *testing.T) {
	bothFronts(t, func(t *testing.T, secure bool) {
		for name, answer := range map[string]string{
			"of known length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
			"chunked":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		} {
			home := open(t, secure, to(t, says(t, answer)))
			resp, err := home.client.Get(home.url)
			if err != nil {
				continue // the break may come before the client has looked at the head
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				t.Errorf("%s: %q seems whole", name, body)
			}
			if record := <-home.records; record.ErrorReason != "target_connection_closed" {
				t.Errorf("%s: reason %q", name, record.ErrorReason)
			}
		}
	})
}

func TestEarlyAnswerReachesWhoStillUploads(t *testing.T) {
	bothFronts(t, func(t *testing.T, secure bool) {
		for kind, url := range bothTargets(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 1000))
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, "enough")
		}) {
			home := open(t, secure, to(t, url))
			upload, more := io.Pipe()
			go func() {
				_, _ = more.Write(make([]byte, 1000))
			}() // and no end
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			req, _ := http.NewRequestWithContext(ctx, "POST", home.url, upload)
			resp, err := home.client.Do(req)
			if err != nil {
				t.Fatal(kind, err)
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 413 || string(body) != "enough" {
				t.Errorf("%s: %d %q", kind, resp.StatusCode, body)
			}
			if record := <-home.records; record.TargetCode != 413 || record.ErrorReason != "" {
				t.Errorf("%s: record %+v", kind, record)
			}
			cancel()
			more.Close()
			resp.Body.Close()
		}
	})
}

func TestBodyLimitIsTold(t *testing.T) {
	bothFronts(t, func(t *testing.T, secure bool) {
		for kind, url := range bothTargets(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }) {
			h := to(t, url)
			home := open(t, secure, exchange.HandlerFunc(func(x *exchange.Exchange) {
				x.LimitBody(1000)
				h.ServeExchange(x)
			}))
			resp, err := home.client.Post(home.url, "", io.MultiReader(strings.NewReader(strings.Repeat("x", 2000))))
			if err != nil {
				t.Fatal(kind, err)
			}
			resp.Body.Close()
			if record := <-home.records; resp.StatusCode != 413 || record.ErrorReason != "body_too_large" {
				t.Errorf("%s: %d, reason %q", kind, resp.StatusCode, record.ErrorReason)
			}
		}
	})
}

func TestVisitorWaitsForContinue(t *testing.T) {
	url := app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	home := open(t, false, to(t, url))
	c, err := net.Dial("tcp", strings.TrimPrefix(home.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if head := readHead(r); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q", head)
	}
	_, _ = io.WriteString(c, "hello")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("%q", body)
	}
}

func TestVisitorLeavesWithinTheUpload(t *testing.T) {
	bothFronts(t, func(t *testing.T, secure bool) {
		for kind, url := range bothTargets(t, func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Error("the upload seems whole")
			}
		}) {
			home := open(t, secure, to(t, url))
			upload, more := io.Pipe()
			go func() {
				_, _ = more.Write(make([]byte, 1000))
				_ = more.CloseWithError(errors.New("gone"))
			}()
			if resp, err := home.client.Post(home.url, "", upload); err == nil {
				resp.Body.Close()
			}
			if record := <-home.records; record.ErrorReason != "client_gone" {
				t.Errorf("%s: reason %q", kind, record.ErrorReason)
			}
		}
	})
}
