package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
)

func TestADeliveryIsKeptAsItCame(t *testing.T) {
	source := github()
	source.FIFO, source.Plugin = "header:X-Line", "planner"
	s := newStand(t, map[string]config.Webhook{"github": source}, nil)
	body := "\x1f\x8b not decoded \xff\r\n"
	r := signed("github", "e1", body)
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("X-Line", "7")
	r.Header.Set("Authorization", "Bearer hush")
	w := s.ask(r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" || s.count("github", Kept) != 1 {
		t.Fatal(w.Code, w.Body)
	}
	d := s.keeper.kept[0]
	if string(d.Body) != body || d.EventID != "e1" || d.Type != "push" || d.Key != "7" || d.Plugin != "planner" || d.Method != "POST" || d.Path != "/in/github?a=1" ||
		d.Client != "192.0.2.7" || d.RequestID != "r-e1" || d.Sync || time.Since(d.At) > time.Minute {
		t.Errorf("%+v", d)
	}
	if !slices.Contains(d.Header, inbox.Field{Name: "Content-Encoding", Value: "gzip"}) || !slices.Contains(d.Header, inbox.Field{Name: "Authorization", Value: redacted}) {
		t.Error(d.Header)
	}
	if w := s.ask(signed("github", "e1", "again")); w.Code != 200 || s.count("github", Repeated) != 1 || len(s.keeper.kept) != 1 {
		t.Error("repeat", w.Code)
	}
}

func TestARefusalDoesNotSayWhatWasWrong(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	var bodies []string
	for _, wrong := range []func(h http.Header){
		func(h http.Header) { h.Del("X-Hub-Signature-256") },
		func(h http.Header) { h.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)) },
		func(h http.Header) { h.Set("X-Hub-Signature-256", "nonsense") },
	} {
		r := signed("github", "e", "{}")
		wrong(r.Header)
		w := s.ask(r)
		if w.Code != 401 || w.Header().Get("Content-Type") != "application/problem+json" || w.reason != "signature" {
			t.Error(w.Code, w.Header(), w.reason)
		}
		bodies = append(bodies, w.Body.String())
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Error(bodies)
	}
	if s.count("github", Refused) != 3 || len(s.keeper.kept) != 0 {
		t.Error("kept", s.keeper.kept)
	}
	if n := strings.Count(s.log.String(), "deliveries were refused"); n != 1 {
		t.Errorf("said %d times: %s", n, s.log)
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("it was read")
	return 0, io.EOF
}

func TestWhatIsTooLargeIsRefusedAndNotReadIfItSaysSo(t *testing.T) {
	source := github()
	source.Body = 10
	s := newStand(t, map[string]config.Webhook{"github": source}, nil)
	r := signed("github", "e1", "0123456789")
	if w := s.ask(r); w.Code != 200 {
		t.Error(w.Code)
	}
	r = signed("github", "e2", "01234567890")
	r.ContentLength = -1 // chunked
	if w := s.ask(r); w.Code != 413 || w.reason != "too_large" {
		t.Error(w.Code, w.reason)
	}
	r = signed("github", "e3", "")
	r.Body, r.ContentLength = io.NopCloser(unread{t}), 11
	if w := s.ask(r); w.Code != 413 || s.count("github", TooLarge) != 2 {
		t.Error(w.Code)
	}
}

func TestWhatIsCutOffIsNotVerified(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	r := signed("github", "e1", "{}")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{}"), &failing{}))
	if w := s.ask(r); w.Code != 400 || s.count("github", Malformed) != 1 || len(s.keeper.kept) != 0 {
		t.Error(w.Code)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOtherAddressesAndMethods(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	if w := s.ask(signed("gitlab", "e1", "{}")); w.Code != 404 {
		t.Error(w.Code)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS", "DELETE"} {
		r := httptest.NewRequest(method, "/github", nil)
		if w := s.ask(r); w.Code != 405 || w.Header().Get("Allow") != "POST" {
			t.Error(method, w.Code, w.Header())
		}
	}
}

func TestAHandshakeIsAnsweredAndNotKept(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"meta": {Verify: config.Verify{Scheme: "meta"}, Secret: "app", Token: "mine", Body: 1 << 20}}, nil)
	ask := func(token string) *noting {
		return s.ask(httptest.NewRequest(http.MethodGet, "/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="+token, nil))
	}
	if w := ask("mine"); w.Code != 200 || w.Body.String() != "1158201444" || s.count("meta", Handshaken) != 1 {
		t.Error(w.Code, w.Body)
	}
	if w := ask("theirs"); w.Code == 200 || s.count("meta", Handshaken) != 1 {
		t.Error(w.Code, w.Body)
	}
	if all := s.Rejected("meta"); len(all) != 1 || strings.Contains(all[0].URL, "theirs") || !strings.Contains(all[0].URL, "redacted") {
		t.Error(all)
	}
}

func TestASourceThatWaitsGetsThePluginsAnswerOnceItIsKept(t *testing.T) {
	source := config.Webhook{Verify: config.Verify{Scheme: "none", ID: "header:X-Id"}, Plugin: "p", Body: 1 << 20, Sync: &config.WebhookSync{Timeout: time.Second}}
	var s *stand
	var says *dispatch.Answer
	var err error
	s = newStand(t, map[string]config.Webhook{"bot": source}, func(_ context.Context, d inbox.Delivery, wait time.Duration) (*dispatch.Answer, error) {
		if last := s.keeper.kept[len(s.keeper.kept)-1]; last.ID != d.ID || wait != time.Second || !d.Sync {
			t.Error("it was not kept first", last.ID, d.ID, wait)
		}
		return says, err
	})
	ask := func(body string) *noting {
		r := httptest.NewRequest(http.MethodPost, "/bot", strings.NewReader(body))
		r.Header.Set("X-Id", body)
		return s.ask(r)
	}
	says = &dispatch.Answer{Status: 201, Header: []inbox.Field{{Name: "content-type", Value: "text/xml"}, {Name: "Connection", Value: "close"}, {Name: "X", Value: "a\r\nb"}}, Body: []byte("<r/>")}
	if w := ask("1"); w.Code != 201 || w.Body.String() != "<r/>" || w.Header().Get("Content-Type") != "text/xml" || w.Header().Get("Connection")+w.Header().Get("X") != "" {
		t.Error(w.Code, w.Header(), w.Body)
	}
	says = nil
	if w := ask("2"); w.Code != 200 || w.Body.Len() != 0 {
		t.Error(w.Code, w.Body)
	}
	says = &dispatch.Answer{Status: 99}
	if w := ask("3"); w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
	for i, err2 := range []error{dispatch.ErrLater, errors.New("broken")} {
		err = err2
		if w := ask(strings.Repeat("4", i+1)); w.Code != 202 {
			t.Error(err, w.Code)
		}
	}
	if w := ask("1"); w.Code != 200 || s.count("bot", Repeated) != 1 {
		t.Error("repeat", w.Code)
	}
	s.keeper.set(errAway)
	if w := ask("5"); w.Code != 202 || s.count("bot", Spooled) != 1 {
		t.Error("away", w.Code)
	}
}

func TestDiscordIsToldWhatItWants(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"discord": {Verify: config.Verify{Scheme: "discord"}, Secret: strings.Repeat("ab", 32), Body: 1 << 20}}, nil)
	for body, want := range map[string]string{
		`{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}`: "204 ",
		`{"type":2,"id":"1","data":{}}`:                    `200 {"type":5}`,
	} {
		w := httptest.NewRecorder()
		v := &visit{Webhooks: s.Webhooks, source: (*s.sources.Load())["discord"], w: w, r: httptest.NewRequest("POST", "/discord", nil), request: requestOf(body)}
		v.acknowledge()
		if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
			t.Error(body, got)
		}
	}
}

func TestTheAddressIsTheOneThatWasAskedOrGiven(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/in/a%2Fb?x=1", nil)
	for given, want := range map[string]string{
		"":                        "https://hooks.example.com/in/a%2Fb?x=1",
		"https://other.test/in":   "https://other.test/in?x=1",
		"https://other.test/?y=2": "https://other.test/?y=2",
	} {
		if got := address(r, given); got != want {
			t.Error(given, got)
		}
	}
	r.TLS = nil
	if got := address(r, ""); !strings.HasPrefix(got, "http://") {
		t.Error(got)
	}
}

func TestAPlanKeepsWhatIsKnownOfASource(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"github": github()}, nil)
	s.ask(signed("github", "e1", "{}"))
	before := (*s.sources.Load())["github"].verifier
	s.use(map[string]config.Webhook{"github": github(), "new": github()})
	if s.count("github", Kept) != 1 || (*s.sources.Load())["github"].verifier != before {
		t.Error("it is forgotten")
	}
	changed := github()
	changed.Secret = "other"
	s.use(map[string]config.Webhook{"github": changed})
	if w := s.ask(signed("github", "e2", "{}")); w.Code != 401 || s.count("github", Kept) != 1 {
		t.Error(w.Code)
	}
	if _, err := s.Plan(&config.Config{Webhooks: map[string]config.Webhook{"bad": {Verify: config.Verify{Scheme: "discord"}, Secret: "no key"}}}); err == nil || !strings.Contains(err.Error(), "webhooks.bad") {
		t.Error(err)
	}
}

func TestARefusalIsAProblemDocument(t *testing.T) {
	s := newStand(t, nil, nil)
	w := s.ask(signed("x", "e", ""))
	var p problem
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&p); err != nil || p.Status != 404 || p.Code != "not_found" || p.RequestID != "r-e" {
		t.Error(p, err)
	}
}
