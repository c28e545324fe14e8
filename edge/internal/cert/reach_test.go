package cert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert/acmetest"
	"github.com/onehost/edge/edge/internal/cert/budget"
)

// smallCA has a directory, says when to renew, and counts.
type smallCA struct {
	*httptest.Server
	renewalInfo, begins string // of the directory
	fails               atomic.Bool
	looks, asks         atomic.Int32
}

func startSmallCA(t *testing.T) (*smallCA, *acmeCA) {
	s := &smallCA{begins: "{"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		s.looks.Add(1)
		fmt.Fprintf(w, `%s"newNonce":"https://ca.test/nonce","newOrder":"https://ca.test/order","renewalInfo":%q}`, s.begins, s.renewalInfo)
	})
	mux.HandleFunc("GET /ari/", func(w http.ResponseWriter, _ *http.Request) {
		s.asks.Add(1)
		if s.fails.Load() {
			http.NotFound(w, nil)
			return
		}
		fmt.Fprint(w, `{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"}}`)
	})
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	s.renewalInfo = s.URL + "/ari"
	return s, &acmeCA{issuer: budget.Issuer{Name: "small", Directory: s.URL + "/directory"}, http: &http.Client{Transport: transport{s.Client().Transport}}}
}

func TestADirectoryIsReadOnceForAllQuestions(t *testing.T) {
	s, ca := startSmallCA(t)
	leaf := &x509.Certificate{AuthorityKeyId: []byte{1}, SerialNumber: newAuthority(t, "a").own.SerialNumber}
	for range 3 {
		if _, err := ca.renewalInfo(t.Context(), leaf); err != nil {
			t.Fatal(err)
		}
	}
	if looks, asks := s.looks.Load(), s.asks.Load(); looks != 1 || asks != 3 {
		t.Errorf("%d looks at the directory for %d questions", looks, asks)
	}
}

// A CA may move its renewal information, or begin to have some.
func TestADirectoryIsReadAgainAfterAQuestionInVain(t *testing.T) {
	s, ca := startSmallCA(t)
	leaf := &x509.Certificate{AuthorityKeyId: []byte{1}, SerialNumber: newAuthority(t, "a").own.SerialNumber}
	later := func() { ca.reach.last = time.Time{} } // not at once: one look a second

	s.fails.Store(true)
	if _, err := ca.renewalInfo(t.Context(), leaf); err == nil {
		t.Fatal("an answer that is none was taken for one")
	}
	later()
	s.renewalInfo = ""
	if _, err := ca.renewalInfo(t.Context(), leaf); !errors.Is(err, errNoRenewalInfo) {
		t.Errorf("when the CA has nothing to say any more: %v", err)
	}
	later()
	s.fails.Store(false)
	s.renewalInfo = s.URL + "/ari/"
	if _, err := ca.renewalInfo(t.Context(), leaf); err != nil {
		t.Errorf("when it has again: %v", err)
	}
	if looks := s.looks.Load(); looks != 3 {
		t.Errorf("%d looks at the directory", looks)
	}
}

// A login page of the network, or a proxy that answers 200 to everything, must not cost a registration.
func TestWhatAnswersWithoutADirectoryIsNotTheCA(t *testing.T) {
	s, ca := startSmallCA(t)
	s.begins = "<html>"
	err := ca.reach.wait(t.Context(), ca)
	if !isUnreachable(err) || !strings.Contains(err.Error(), "no ACME directory") {
		t.Error(err)
	}
}

func TestAcmezDoesNotHearOfRenewalInformation(t *testing.T) {
	_, ca := startSmallCA(t)
	ca.log = newTestManager(t, t.TempDir()).log
	said, err := ca.client().GetDirectory(t.Context())
	if want := (acme.Directory{NewNonce: "https://ca.test/nonce", NewOrder: "https://ca.test/order"}); err != nil || said != want {
		t.Errorf("%+v, %v", said, err)
	}
}

// TestRenewalInformationThatHangsDelaysNoOrder: it is not even asked for in an order.
func TestRenewalInformationThatHangsDelaysNoOrder(t *testing.T) {
	ca := acmetest.Start(t, acmetest.Options{AlwaysValid: true})
	ca.FailNext(1000, acmetest.KindRenewalInfo, acmetest.Hold(t.Context().Done()))
	m := newTestManager(t, t.TempDir())
	set, err := m.Plan(t.Context(), &config.Config{
		TLS:    config.TLS{Issuers: []config.Issuer{{Directory: ca.Directory, CA: ca.RootFile}}},
		Hosts:  map[string]config.Host{"a.test": {}},
		Listen: config.Listen{HTTP: []string{":80"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Use(set)
	if err := set.names["a.test"].managed.get(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if asked := ca.Requests(acmetest.KindRenewalInfo); len(asked) > 0 {
		t.Errorf("asked %d times when to renew", len(asked))
	}
}
