package forms

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/sqlite"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A host is a real server of the forms of a configuration, with a store.
type host struct {
	*httptest.Server
	forms *Forms
	kept  *submissions.Submissions
	cfg   *config.Config
}

// serve serves the forms that text configures, kept in a SQLite file.
func serve(t *testing.T, text string) *host {
	t.Helper()
	kept, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "forms.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	return serveFrom(t, text, kept, nil)
}

func serveFrom(t *testing.T, text string, kept store.Store, invoke *function) *host {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	h := &host{cfg: load(t, text)}
	h.kept = submissions.New(submissions.Options{Store: kept, Invoke: invoke, Log: log})
	h.kept.Use(h.cfg.Forms, h.cfg.Functions)
	client := &http.Client{Transport: &http.Transport{}}
	h.forms = New(Options{Submissions: h.kept, Invoke: invoke, Key: []byte(strings.Repeat("k", 32)), Client: client, Log: log})
	h.use(t, h.cfg)
	h.Server = httptest.NewServer(h.forms)
	t.Cleanup(func() {
		h.Close()
		client.CloseIdleConnections()
		h.Client().CloseIdleConnections()
	})
	return h
}

func (h *host) use(t *testing.T, cfg *config.Config) {
	t.Helper()
	plan, err := h.forms.Plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	plan.Commit()
}

const around = `
functions: {f: {command: /bin/true}}
hosts: {a.test: {tls: off, default: {forms: true}}}
forms:
`

// load reads a configuration of these forms, with defaults and Check.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := tryLoad(t, text)
	for _, p := range problems {
		if !p.Warning {
			t.Fatal(p.Message)
		}
	}
	return cfg
}

func tryLoad(t *testing.T, text string) (*config.Config, []config.Problem) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(around+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, config.Env{}, Check)
}

// An answer is what a visitor got.
type answer struct {
	*http.Response
	text string
}

// send sends a request to a path, with fields written "Name: value", and follows nothing.
func (h *host) send(t *testing.T, method, path, body string, fields ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	got, err := h.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got, string(text)}
}

const (
	asURL     = "Content-Type: application/x-www-form-urlencoded"
	asJSON    = "Content-Type: application/json"
	wantsJSON = "Accept: application/json"
	wantsHTML = "Accept: text/html"
)

// all are the submissions that are kept, newest first.
func (h *host) all(t *testing.T) []submissions.Submission {
	t.Helper()
	found, err := h.kept.List(t.Context(), submissions.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// token fetches a page's token.
func (h *host) token(t *testing.T, form string) string {
	t.Helper()
	var got struct{ Token, Field string }
	a := h.send(t, "GET", "/forms/"+form+"/token", "")
	if err := json.Unmarshal([]byte(a.text), &got); err != nil || got.Field != "_token" || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatal(a.StatusCode, a.text, err)
	}
	return got.Token
}

// code is the problem's code.
func (a answer) code() string {
	var p problem
	_ = json.Unmarshal([]byte(a.text), &p)
	return p.Code
}

// A function answers invocations as a test says, and remembers the events.
type function struct {
	answer func(event []byte) (lambda.Result, error)
	mu     sync.Mutex
	events [][]byte
}

func (f *function) Invoke(_ context.Context, _ string, event []byte) (lambda.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
	return f.answer(event)
}
