package webhooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/spool"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(m)
}

const secretOfGitHub = "It's a Secret to Everybody"

func github() config.Webhook {
	return config.Webhook{Verify: config.Verify{Scheme: "github"}, Secret: secretOfGitHub, Body: 1 << 20, Tolerance: 5 * time.Minute}
}

var quiet = slog.New(slog.DiscardHandler)

// keeper is an inbox whose store may be away.
type keeper struct {
	Inbox
	mu   sync.Mutex
	err  error            // what Keep returns
	kept []inbox.Delivery // in the order in which they came
	come chan<- string    // nil, or event ids that were kept
	errs map[string]error // by source
}

func (k *keeper) Keep(ctx context.Context, d inbox.Delivery) (inbox.Delivery, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return inbox.Delivery{}, false, k.err
	}
	if err := k.errs[d.Source]; err != nil {
		return inbox.Delivery{}, false, err
	}
	kept, repeat, err := k.Inbox.Keep(ctx, d)
	if err == nil && !repeat {
		k.kept = append(k.kept, kept)
	}
	if k.come != nil && err == nil {
		k.come <- d.EventID
	}
	return kept, repeat, err
}

func (k *keeper) set(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func (k *keeper) events() (all []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.kept {
		all = append(all, d.EventID)
	}
	return all
}

var errAway = fmt.Errorf("no server can be reached: %w", fault.Unavailable)

// plugin answers sources that wait.
type plugin func(ctx context.Context, d inbox.Delivery, wait time.Duration) (*dispatch.Answer, error)

func (p plugin) Now(ctx context.Context, d inbox.Delivery, wait time.Duration) (*dispatch.Answer, error) {
	return p(ctx, d, wait)
}

// A stand is a handler on a store of its own.
type stand struct {
	*Webhooks
	t      testing.TB
	keeper *keeper
	log    *bytes.Buffer // of who does not Run it
}

func newInbox(t testing.TB) *inbox.Inbox {
	t.Helper()
	s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "edge.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return inbox.New(inbox.Options{Store: s, Log: quiet})
}

func newSpool(t testing.TB) *spool.Spool {
	t.Helper()
	s, err := spool.Open(filepath.Join(t.TempDir(), "spool"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newStand(t testing.TB, sources map[string]config.Webhook, answers plugin) *stand {
	t.Helper()
	kept := newInbox(t)
	kept.Use(sources)
	s := &stand{t: t, keeper: &keeper{Inbox: kept}, log: new(bytes.Buffer)}
	s.Webhooks = New(Options{Inbox: s.keeper, Dispatch: answers, Spool: newSpool(t), Log: slog.New(slog.NewTextHandler(s.log, nil))})
	s.use(sources)
	return s
}

func (s *stand) use(sources map[string]config.Webhook) {
	s.t.Helper()
	p, err := s.Plan(&config.Config{Webhooks: sources})
	if err != nil {
		s.t.Fatal(err)
	}
	p.Commit()
}

// runs brings what is in the spool into the inbox until what it returns is called.
func (s *stand) runs() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	return sync.OnceFunc(func() {
		cancel()
		<-ended
	})
}

// noting is a recorder that hears why.
type noting struct {
	*httptest.ResponseRecorder
	reason string
}

func (n *noting) ErrorReason(word string) { n.reason = word }

func (s *stand) ask(r *http.Request) *noting {
	w := &noting{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(w, r)
	return w
}

// signed is a delivery as GitHub sends it.
func signed(source, id, body string) *http.Request {
	sum := hmac.New(sha256.New, []byte(secretOfGitHub))
	sum.Write([]byte(body))
	r := httptest.NewRequest(http.MethodPost, "https://webhooks.example.com/in/"+source+"?a=1", strings.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
	r.Header.Set("X-Github-Delivery", id)
	r.Header.Set("X-Github-Event", "push")
	r.Header.Set("X-Request-Id", "r-"+id)
	r.RemoteAddr = "[::ffff:192.0.2.7]:1234"
	return r
}

func (s *stand) count(source string, o Outcome) uint64 {
	for _, c := range s.Counts() {
		if c.Source == source && c.Outcome == o {
			return c.N
		}
	}
	s.t.Fatal("no count of", source)
	return 0
}
