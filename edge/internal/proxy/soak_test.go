package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/front"
	"github.com/onehost/edge/edge/internal/target"
)

// pooled returns the action that forwards to one group with these targets, and the pools of those.
func pooled(t testing.TB, urls ...string) (exchange.Handler, []*pool) {
	t.Helper()
	return pooledOver(t, nil, urls...)
}

// pooledOver is pooled over a network of its own.
func pooledOver(t testing.TB, dial target.DialFunc, urls ...string) (exchange.Handler, []*pool) {
	t.Helper()
	var pools []*pool
	groups := target.NewGroups(target.Options{Dial: dial, NewPool: func(t *target.Target) io.Closer {
		p := NewPool(t)
		pools = append(pools, p.(*pool))
		return p
	}})
	h, _ := toGroupOf(t, groups, config.TargetGroup{}, urls...)
	return h, pools
}

// allIsLeft waits until no attempt has anything of the pools.
func allIsLeft(t testing.TB, pools []*pool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		inside, guarded, clients := 0, 0, 0
		for _, p := range pools {
			p.guard.mu.Lock()
			guarded += len(p.guard.attempts)
			p.guard.mu.Unlock()
			p.gate.mu.Lock()
			clients += len(p.gate.clients)
			p.gate.mu.Unlock()
			inside += len(p.gate.places)
		}
		if inside == 0 && guarded == 0 && clients == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("still there: %d places, %d attempts, %d clients", inside, guarded, clients)
			return
		}
	}
}

// A token names one request. It is in all parts of it, and in all parts of its answer.
type token string

// body is n bytes that belong to the token.
func (k token) body(n int) []byte {
	return bytes.Repeat([]byte(k+","), n/(len(k)+1)+1)[:n]
}

// owner is a target that answers "/KIND/SIZE/TOKEN" with the token, in that kind, and sees whether the request is of one piece.
type owner struct {
	t        testing.TB
	trailers bool // that nobody announced are seen
}

func (o owner) serve(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		parts := strings.Split(req.URL.Path, "/")
		if len(parts) != 4 {
			o.t.Errorf("path %q", req.URL.Path)
			return
		}
		k, size := token(parts[3]), 0
		_, _ = fmt.Sscan(parts[2], &size)
		if req.Header.Get("X-Token") != parts[3] || req.Host != parts[3] {
			o.t.Errorf("%s has the fields %v and host %s", req.URL.Path, req.Header, req.Host)
		}
		if parts[1] != "early" && !o.readBody(k, req) || !answers[parts[1]](c, k, size, req.Method) {
			return
		}
	}
}

// readBody reports whether there was a whole one.
func (o owner) readBody(k token, req *http.Request) bool {
	got, err := io.ReadAll(req.Body)
	if want := k.body(len(got)); !bytes.Equal(got, want) {
		o.t.Errorf("%s has the body %.100q", req.URL.Path, got)
	}
	if err == nil && o.trailers && req.ContentLength < 0 && req.Trailer.Get("X-Sum") != string(k) {
		o.t.Errorf("%s has the trailers %v", req.URL.Path, req.Trailer)
	}
	return err == nil
}

// head is an answer's, with many fields.
func (k token) head(status string, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\nX-Token: %s\r\nSet-Cookie: t=%s\r\n", status, k, k)
	for i := range fields {
		fmt.Fprintf(&b, "X-Field-%d: %s-%d\r\n", i, k, i)
	}
	return b.String() + more + "\r\n"
}

const fields = 12

func (k token) whole(size int, method string) string {
	head := k.head("200 OK", fmt.Sprintf("Content-Length: %d\r\n", size))
	if method == "HEAD" {
		return head
	}
	return head + string(k.body(size))
}

// answers are the kinds of answers. Each reports whether the connection may go on.
var answers = map[string]func(c net.Conn, k token, size int, method string) bool{
	"whole": func(c net.Conn, k token, size int, method string) bool {
		return tells(c, k.whole(size, method))
	},
	"chunked": func(c net.Conn, k token, size int, method string) bool {
		ok := tells(c, k.head("200 OK", "Transfer-Encoding: chunked\r\nTrailer: X-Token\r\n"))
		if method == "HEAD" {
			return ok
		}
		for b := k.body(size); ok && len(b) > 0; {
			n := min(1+rand.IntN(9000), len(b))
			ok = tells(c, fmt.Sprintf("%x\r\n", n), string(b[:n]), "\r\n")
			b = b[n:]
		}
		return ok && tells(c, "0\r\nX-Token: "+string(k)+"\r\n\r\n")
	},
	"hints": func(c net.Conn, k token, size int, method string) bool {
		return tells(c, "HTTP/1.1 103 Early Hints\r\nX-Token: "+string(k)+"\r\n\r\n", k.whole(size, method))
	},
	"split": func(c net.Conn, k token, _ int, method string) bool {
		return tells(c, strings.Split(k.whole(20, method), "")...)
	},
	"empty": func(c net.Conn, k token, _ int, _ string) bool {
		return tells(c, k.head("204 No Content", ""))
	},
	"until the end": func(c net.Conn, k token, size int, method string) bool {
		head := k.head("200 OK", "Connection: close\r\n")
		if method != "HEAD" {
			head += string(k.body(size))
		}
		tells(c, head)
		return false
	},
	"early": func(c net.Conn, k token, size int, method string) bool { // and a reset, if the request has a body
		tells(c, strings.Replace(k.whole(size, method), "X-Token", "Connection: close\r\nX-Token", 1)) // or a POST may come too late
		return false
	},
	"surplus": func(c net.Conn, k token, _ int, method string) bool {
		return tells(c, k.whole(surplusSize(c), method)+poison)
	},
	"cut": func(c net.Conn, k token, size int, _ string) bool {
		tells(c, k.head("200 OK", fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n", size+100)), string(k.body(size)))
		return false
	},
	"slow": func(c net.Conn, k token, _ int, method string) bool {
		text := k.whole(100, method)
		for ok := true; len(text) > 0; text = text[min(len(text), 100):] {
			time.Sleep(2 * time.Millisecond)
			if ok = ok && tells(c, text[:min(len(text), 100)]); !ok {
				return false
			}
		}
		return true
	},
	"none": func(net.Conn, token, int, string) bool { return false },
	"junk": func(c net.Conn, k token, _ int, _ string) bool {
		return tells(c, k.head("200 OK", "X Token: 1\r\n"))
	},
}

// surplusSize is as much as leaves the surplus in the socket, and yet comes together with it: TLS has it in records.
func surplusSize(c net.Conn) int {
	if _, secure := c.(*tls.Conn); secure {
		return 500
	}
	return 20_000
}

func tells(c net.Conn, parts ...string) bool {
	for _, s := range parts {
		if _, err := io.WriteString(c, s); err != nil {
			return false
		}
	}
	return true
}

// ServeHTTP is the same over h2c, where fewer kinds are possible.
func (o owner) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	parts := strings.Split(req.URL.Path, "/")
	k, kind, size := token(parts[3]), parts[1], 0
	_, _ = fmt.Sscan(parts[2], &size)
	if req.Header.Get("X-Token") != parts[3] || req.Host != parts[3] {
		o.t.Errorf("%s has the fields %v and host %s", req.URL.Path, req.Header, req.Host)
	}
	if !o.readBody(k, req) {
		return
	}
	h := w.Header()
	h.Set("X-Token", string(k))
	h.Set("Set-Cookie", "t="+string(k))
	for i := range fields {
		h.Set(fmt.Sprintf("X-Field-%d", i), fmt.Sprintf("%s-%d", k, i))
	}
	switch kind {
	case "empty":
		w.WriteHeader(http.StatusNoContent)
	case "none":
		panic(http.ErrAbortHandler)
	case "cut":
		_, _ = w.Write(k.body(size))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		h.Set(http.TrailerPrefix+"X-Token", string(k))
		for b := k.body(size); ; {
			n := min(1+rand.IntN(9000), len(b))
			_, _ = w.Write(b[:n])
			_ = http.NewResponseController(w).Flush() // or it may choose to declare a length, and to say no trailers
			if b = b[n:]; len(b) == 0 {
				return
			}
		}
	}
}

// reliable are the kinds that must arrive whole.
var reliable = map[string]bool{"whole": true, "chunked": true, "hints": true, "split": true, "empty": true, "until the end": true, "surplus": true, "slow": true}

// A soaker is one visitor, who asks and asks.
type soaker struct {
	t      testing.TB
	name   string
	home   *house
	client *http.Client
	rand   *rand.Rand
	asked  int
	whole  int // answers
}

func (s *soaker) run(kinds []string, until time.Time) {
	for time.Now().Before(until) {
		s.asked++
		s.ask(token(fmt.Sprintf("%s-%d", s.name, s.asked)), kinds[s.rand.IntN(len(kinds))])
	}
}

func (s *soaker) ask(k token, kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	leaves := s.rand.IntN(4) == 0
	if leaves {
		time.AfterFunc(time.Duration(s.rand.IntN(4000))*time.Microsecond, cancel)
	}
	size := []int{0, 1, 100, 5000, 40_000, 100_000}[s.rand.IntN(6)]
	req, answer := s.request(ctx, k, kind, size), "nothing"
	resp, err := s.client.Do(req)
	if err == nil {
		answer = resp.Status
		err = s.check(k, kind, size, resp)
		resp.Body.Close()
	}
	left := ctx.Err() != nil && leaves
	if kind == "early" && req.Method == "POST" || left {
		return // whatever comes of it: what came was the visitor's own
	}
	if reliable[kind] && (err != nil || resp.StatusCode > 204) {
		s.t.Errorf("%s of %s, %d bytes, to %s: %s, %v", kind, k, size, req.Method, answer, err)
	}
	if err == nil {
		s.whole++
	}
}

func (s *soaker) request(ctx context.Context, k token, kind string, size int) *http.Request {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		if h.Get("X-Token") != string(k) {
			s.t.Errorf("%s: hints %v", k, h)
		}
		return nil
	}})
	method, n := []string{"GET", "HEAD", "POST", "POST"}[s.rand.IntN(4)], []int{0, 7, 16 << 10, 50_000}[s.rand.IntN(4)]
	req, _ := http.NewRequestWithContext(ctx, method, strings.ReplaceAll(fmt.Sprintf("%s/%s/%d/%s", s.home.url, kind, size, k), " ", "%20"), nil)
	req.Host = string(k)
	req.Header.Set("X-Token", string(k))
	if method == "POST" {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(k.body(n))), int64(n)
		if n == 0 {
			req.Body = http.NoBody
		}
		if s.rand.IntN(2) == 0 {
			req.Body, req.ContentLength, req.Trailer = io.NopCloser(bytes.NewReader(k.body(n))), -1, http.Header{"X-Sum": {string(k)}} // a field of the head would not be let through twice
		}
	}
	return req
}

// check reads the answer, all of it or as much as this visitor likes, and reports why it is not whole.
func (s *soaker) check(k token, kind string, size int, resp *http.Response) error {
	if resp.StatusCode > 299 {
		if said, _ := io.ReadAll(resp.Body); resp.Header.Get("X-Token") != "" || resp.Header.Get("Set-Cookie") != "" || bytes.Contains(said, []byte("#")) {
			s.t.Errorf("%s: %s %v %.100q", k, resp.Status, resp.Header, said)
		}
		return nil
	}
	for name, want := range map[string]string{"X-Token": string(k), "Set-Cookie": "t=" + string(k)} {
		if got := resp.Header[name]; len(got) != 1 || got[0] != want {
			s.t.Errorf("%s %s: %s is %q", kind, k, name, got)
		}
	}
	for i := range fields {
		if got := resp.Header.Get(fmt.Sprintf("X-Field-%d", i)); got != fmt.Sprintf("%s-%d", k, i) {
			s.t.Errorf("%s %s: field %d is %q", kind, k, i, got)
		}
	}
	part := io.Reader(resp.Body)
	some := s.rand.IntN(8) == 0
	if some {
		part = io.LimitReader(part, int64(size/2))
	}
	got, err := io.ReadAll(part)
	if !bytes.Equal(got, k.body(len(got))) {
		s.t.Errorf("%s %s: %d bytes, not its own: %.200q", kind, k, len(got), got)
	}
	if err != nil || some || kind == "surplus" {
		return err
	}
	if want := map[string]int{"split": 20, "slow": 100, "empty": 0}; reliable[kind] && resp.Request.Method != "HEAD" {
		if n, ok := want[kind]; ok {
			size = n
		}
		if len(got) != size {
			return fmt.Errorf("%d bytes", len(got))
		}
		if trailer := resp.Trailer.Get("X-Token"); kind == "chunked" && trailer != string(k) {
			return fmt.Errorf("trailers %v", resp.Trailer)
		}
	}
	if kind == "cut" && resp.Request.Method != "HEAD" {
		return errors.New("an answer that was cut off seems whole")
	}
	return nil
}

// soak has many visitors of both fronts ask a target for whatever they like, at once.
func soak(t *testing.T, lasts time.Duration, visitors int) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	var kinds []string
	for kind := range answers {
		kinds = append(kinds, kind)
		if reliable[kind] { // or hardly a connection is ever used again
			kinds = append(kinds, kind, kind, kind)
		}
	}
	slices.Sort(kinds)
	var all sync.WaitGroup
	var soakers []*soaker
	var pools []*pool
	until := time.Now().Add(lasts)
	for i, url := range []string{
		many(t, nil, owner{t, true}.serve), many(t, &tls.Config{Certificates: borrowed.TLS.Certificates}, owner{t, true}.serve), h2cApp(t, owner{t, false}),
	} {
		h, own := pooled(t, url)
		pools = append(pools, own...)
		kinds := kinds
		if strings.HasPrefix(url, "h2c:") {
			// Go's own server races with itself where hints go out, and takes trailers of a stream that it has answered for an error of the connection.
			kinds = []string{"whole", "chunked", "empty", "cut", "none"}
		}
		for _, secure := range []bool{false, true} {
			// It looks often who has gone, and yet never closes a connection that somebody is just about to use.
			home := openWith(t, secure, front.Limits{Window: 2 * time.Second, MinBytes: 1}, h)
			for v := range visitors {
				s := &soaker{t: t, name: fmt.Sprintf("v%d%t%d", i, secure, v), home: home, client: home.client, rand: rand.New(rand.NewPCG(uint64(v), uint64(i)))}
				soakers = append(soakers, s)
				all.Go(func() { s.run(kinds, until) })
			}
		}
	}
	all.Wait()
	asked, whole := 0, 0
	for _, s := range soakers {
		asked += s.asked
		whole += s.whole
	}
	t.Logf("%d requests, %d whole answers", asked, whole)
	if whole < asked/4 {
		t.Errorf("%d whole answers to %d requests", whole, asked)
	}
	allIsLeft(t, pools)
}

func TestEverybodyGetsHisOwnAnswer(t *testing.T) { soak(t, 2*time.Second, 8) }

func TestEverybodyGetsHisOwnAnswerForAMinute(t *testing.T) {
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: a minute of visitors who come and go; set EDGE_SOAK=1")
	}
	soak(t, time.Minute, 24)
}
