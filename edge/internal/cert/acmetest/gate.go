package acmetest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Action is what becomes of a request at the gate: it wraps the way to Pebble. A nil Action lets the request pass.
type Action func(pebble http.Handler) http.Handler

// Cut closes the connection: Pebble never hears of the request.
func Cut(http.Handler) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// CutAnswer lets Pebble do what is asked, and closes the connection instead of answering.
func CutAnswer(pebble http.Handler) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		pebble.ServeHTTP(&lost{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	})
}

// Problem answers with a problem document (RFC 8555 section 6.7), of a type such as "rateLimited", instead of asking Pebble.
// With a retryAfter of more than 0 it has a Retry-After field in whole seconds.
func Problem(status int, kind, detail string, retryAfter time.Duration) Action {
	document, _ := json.Marshal(map[string]any{"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": status})
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			if retryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
			}
			w.WriteHeader(status)
			_, _ = w.Write(document)
		})
	}
}

// Hold lets the request wait until a channel is closed, then pass. It is given up when the client leaves or the gate goes down.
func Hold(until <-chan struct{}) Action {
	return func(pebble http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-until:
				pebble.ServeHTTP(w, r)
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		})
	}
}

// gate is the HTTPS server that clients take for the CA. It goes down and up, writes down what passes, and does what tests
// want done to single requests.
type gate struct {
	addr     string
	identity tls.Certificate
	proxy    *httputil.ReverseProxy
	log      *log.Logger
	options  Options

	mu       sync.Mutex
	server   *http.Server // nil while down
	ended    chan struct{}
	requests []*Request
	issued   []*x509.Certificate
	hook     func(Request) Action
	fails    []*failing
}

type failing struct {
	left   int
	kind   Kind
	action Action
}

func newGate(t testing.TB, pebble string, identity tls.Certificate, roots *x509.CertPool, output io.Writer, options Options) *gate {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	g := &gate{addr: localhost(Port(t)), identity: identity, log: log.New(output, "gate ", log.Ltime), options: options}
	g.proxy = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: pebble})
			r.Out.Host = r.In.Host // Pebble makes its URLs of it
		},
		ModifyResponse: g.modify,
		ErrorLog:       g.log,
	}
	if err := g.up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.down()
		transport.CloseIdleConnections()
	})
	return g
}

func (g *gate) up() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", g.addr)
	if err != nil {
		return fmt.Errorf("the gate before Pebble: %w", err)
	}
	server := &http.Server{
		Handler: g, ErrorLog: g.log, ReadHeaderTimeout: time.Minute,
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{g.identity}},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone: cutting one request cuts its connection
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ServeTLS(listener, "", "") // ends by Close
	}()
	g.server, g.ended = server, ended
	return nil
}

func (g *gate) down() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server == nil {
		return
	}
	g.server.Close()
	<-g.ended
	AwaitForks()
	g.server = nil
}

// ServeHTTP notes a request and sends it the way that the test wants.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))

	asked := &Request{At: time.Now(), Kind: kindOf(r.URL.Path), Method: r.Method, Path: r.URL.Path, Payload: payloadOf(body)}
	asked.Names = namesIn(asked.Kind, asked.Payload)
	g.log.Print(asked.Kind, " ", asked.Names)
	handler := http.Handler(g.proxy)
	if action := g.note(asked); action != nil {
		handler = action(handler)
	}
	handler.ServeHTTP(&noting{ResponseWriter: w, note: func(status int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		asked.Status = status
	}}, r)
}

// note keeps the request and finds out what is to become of it. The test's hook runs outside of the lock: it may look at
// requests, or block.
func (g *gate) note(asked *Request) Action {
	g.mu.Lock()
	g.requests = append(g.requests, asked)
	hook, seen := g.hook, *asked
	for _, fail := range g.fails {
		if fail.kind == asked.Kind && fail.left > 0 {
			fail.left--
			g.mu.Unlock()
			return fail.action
		}
	}
	g.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(seen)
}

// modify keeps the certificates that go by, and makes of Pebble the CA that the options describe.
func (g *gate) modify(resp *http.Response) error {
	kind := kindOf(resp.Request.URL.Path)
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	if kind == KindRenewalInfo && g.options.RenewalInfoEvery > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(int(g.options.RenewalInfoEvery.Seconds())))
	}
	if kind != KindCertificate && (kind != KindDirectory || !g.options.NoRenewalInfo) {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return err
	}
	if kind == KindCertificate {
		err = g.keep(body)
	} else {
		body, err = withoutRenewalInfo(body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return err
}

func withoutRenewalInfo(directory []byte) ([]byte, error) {
	var fields map[string]any
	if err := json.Unmarshal(directory, &fields); err != nil {
		return nil, err
	}
	delete(fields, "renewalInfo")
	return json.Marshal(fields)
}

func (g *gate) keep(chain []byte) error {
	block, _ := pem.Decode(chain)
	if block == nil {
		return fmt.Errorf("pebble answered no certificate: %q", chain)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.ContainsFunc(g.issued, leaf.Equal) {
		g.issued = append(g.issued, leaf)
	}
	return nil
}

// noting tells the status of an answer.
type noting struct {
	http.ResponseWriter
	note func(status int)
}

func (w *noting) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

// lost is an answer that nobody gets.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(p []byte) (int, error) { return len(p), nil }
func (l *lost) WriteHeader(int)             {}
