package accounts

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bunrouter"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/wire"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/core/store/storetest"
)

var engines enginetest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

var quiet = slog.New(slog.DiscardHandler)

// patient is a context that gives a call the time that a busy machine takes.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A desk is accounts as clients see them, and what is behind.
type desk struct {
	*Accounts
	t       testing.TB
	s       store.Store
	cfg     *config.API
	set     *schema.Set
	handler http.Handler
	mails   chan mail.Message
	failing atomic.Pointer[error] // what sending a mail ends in
	ahead   atomic.Int64          // how far the clock is ahead
	checks  *counted
}

// counted counts the passwords that are checked.
type counted struct {
	hasher
	n atomic.Int64
}

func (c *counted) Verify(ctx context.Context, hash, password string) (bool, bool, error) {
	c.n.Add(1)
	return c.hasher.Verify(ctx, hash, password)
}

// cheap hashes cost next to nothing. Those that came from elsewhere are checked as they are.
type cheap struct{ hasher }

func (cheap) Hash(_ context.Context, password string) (string, error) {
	return "$argon2id$cheap$" + sum(password), nil
}

func (c cheap) Verify(ctx context.Context, hash, password string) (bool, bool, error) {
	if !strings.HasPrefix(hash, "$argon2id$cheap$") {
		return c.hasher.Verify(ctx, hash, password)
	}
	return hash == "$argon2id$cheap$"+sum(password), false, nil
}

func (d *desk) Send(_ context.Context, m mail.Message) error {
	if failure := d.failing.Load(); failure != nil {
		return *failure
	}
	d.mails <- m
	return nil
}

func plain() *config.API {
	return &config.API{
		Prefix: "/api", Registration: true, PageSize: 25, MaxPageSize: 100,
		Permissions: map[string][]string{"authenticated": {"user.find", "user.findOne"}, "editor": {"user.*", "role.*"}, "self": {"user.update"}},
		Sessions:    config.APISessions{Access: 30 * 24 * time.Hour, Idle: 7 * 24 * time.Hour, Max: 30 * 24 * time.Hour},
	}
}

// renewed is a configuration with short tokens that are renewed.
func renewed() *config.API {
	c := plain()
	c.Sessions.Refresh, c.Sessions.Access = true, 10*time.Minute
	return c
}

func newDesk(t testing.TB, s store.Store, cfg *config.API) *desk {
	t.Helper()
	set, err := schema.New([]string{"en"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	collections := append(entries.Collections(), changes.Collection())
	for _, one := range set.Types() {
		collections = append(collections, rows.Collection(one))
	}
	if err := s.Ensure(patient(t), collections...); err != nil {
		t.Fatal(err)
	}
	e := entries.New(entries.Options{Store: s, Log: quiet, History: time.Hour})
	e.Use(set)
	d := &desk{t: t, s: s, cfg: cfg, set: set, mails: make(chan mail.Message, 100)}
	d.Accounts = New(Options{Store: s, Entries: e, Mailer: d, Key: []byte(strings.Repeat("k", 32)), Log: quiet})
	d.now = func() time.Time {
		return time.Now().Add(time.Duration(d.ahead.Load())).UTC().Truncate(time.Millisecond)
	}
	d.checks = &counted{hasher: cheap{d.passwords}}
	d.passwords = d.checks
	d.Use(cfg, set, access.New(cfg, set))
	if err := d.Prepare(patient(t)); err != nil {
		t.Fatal(err)
	}
	d.handler = d.routed()
	return d
}

// memory is a desk on a store in memory, for what has nothing to do with stores.
func memory(t testing.TB, cfg *config.API) *desk {
	t.Helper()
	return newDesk(t, storetest.NewMemory(), cfg)
}

// routed answers requests as package api does.
func (d *desk) routed() http.Handler {
	type key struct{}
	failed := func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
		return func(w http.ResponseWriter, r bunrouter.Request) error {
			c, err := d.Authenticate(r.Context(), r.Request)
			if err == nil {
				err = next(w, r.WithContext(context.WithValue(r.Context(), key{}, c)))
			}
			if err != nil {
				wire.Error(w, r.Request, d.Log, err)
			}
			return nil
		}
	}
	router := bunrouter.New(bunrouter.Use(failed))
	router.WithGroup(d.cfg.Prefix, func(g *bunrouter.Group) {
		d.Routes(g, func(r *http.Request) access.Caller {
			c, _ := r.Context().Value(key{}).(access.Caller)
			return c
		})
	})
	return router
}

// running runs what accounts do by themselves until the test ends.
func (d *desk) running() *desk {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	d.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	})
	return d
}

// later has time pass.
func (d *desk) later(by time.Duration) { d.ahead.Add(int64(by)) }

// An ask is a request as a test writes it: METHOD PATH, the token, the body, and more header fields as NAME, VALUE.
func (d *desk) send(what, token, body string, header ...string) *answer {
	d.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := httptest.NewRequestWithContext(patient(d.t), method, "https://api.lab.test/api"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	a := &answer{ResponseRecorder: w, what: what + " " + body}
	_ = json.Unmarshal(w.Body.Bytes(), &a.json)
	return a
}

// An answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	what string
	json map[string]any
}

func (a *answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// want wants a status.
func (d *desk) want(a *answer, status int) *answer {
	d.t.Helper()
	if a.Code != status {
		d.t.Fatalf("%s: %d, want %d: %s", a.what, a.Code, status, a.Body)
	}
	return a
}

// refused wants an error.
func (d *desk) refused(a *answer, status int, message string) {
	d.t.Helper()
	e, _ := a.json["error"].(map[string]any)
	if a.Code != status || e["message"] != message {
		d.t.Errorf("%s: %d %v, want %d %s", a.what, a.Code, a.Body, status, message)
	}
}

// add makes a user whose password is Passw0rd-NAME.
func (d *desk) add(name, role string) User {
	d.t.Helper()
	u, err := d.AddUser(patient(d.t), name, name+"@lab.test", "Passw0rd-"+name, role)
	if err != nil {
		d.t.Fatal(err)
	}
	return u
}

// enterAs logs a user in whose password is Passw0rd-NAME.
func (d *desk) enterAs(name string, header ...string) *answer {
	d.t.Helper()
	return d.want(d.send("POST /auth/local", "", `{"identifier":"`+name+`","password":"Passw0rd-`+name+`"}`, header...), http.StatusOK)
}

// posted waits for the next mail.
func (d *desk) posted() mail.Message {
	d.t.Helper()
	select {
	case m := <-d.mails:
		return m
	case <-patient(d.t).Done():
		d.t.Fatal("no mail came")
		panic("unreachable")
	}
}

var inMail = regexp.MustCompile(`(?:code|confirmation)=([\w-]+)|\n\n([\w-]{43})\n\n`)

// code is the code that a mail carries.
func code(t testing.TB, m mail.Message) string {
	t.Helper()
	found := inMail.FindStringSubmatch(m.Text)
	if found == nil {
		t.Fatalf("no code in %s", m.Text)
	}
	code, err := url.QueryUnescape(found[1] + found[2])
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// together runs a function some times at once.
func together(n int, f func(int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
