package captcha_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms/captcha"
)

const secret = "0x4AAAAAAA-the-sites-own-secret"

// The keys that providers publish for tests.
const (
	googleTest     = "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe"
	turnstilePass  = "1x0000000000000000000000000000000AA"
	turnstileFail  = "2x0000000000000000000000000000000AA"
	turnstileSpent = "3x0000000000000000000000000000000AA"
	turnstileToken = "XXXX.DUMMY.TOKEN.XXXX"
	hTest          = "0x0000000000000000000000000000000000000000"
	hToken         = "10000000-aaaa-bbbb-cccc-000000000001"
)

// said is an answer of a provider.
type said map[string]any

// site is a provider's verifying server, as its documentation says.
type site struct {
	*httptest.Server
	kind   string // the key in config.Captcha
	before func(w http.ResponseWriter, r *http.Request, n int) bool

	mu     sync.Mutex
	asked  []map[string]string
	tokens map[string]said // that are good; each once
	spent  map[string]string
}

func start(t *testing.T, kind string, tokens map[string]said) *site {
	t.Helper()
	s := &site{kind: kind, tokens: tokens, spent: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		s.say(w, refuse("bad-request"))
		return
	}
	form := map[string]string{}
	for name := range r.PostForm {
		form[name] = r.PostForm.Get(name)
	}
	s.mu.Lock()
	s.asked = append(s.asked, form)
	n := len(s.asked)
	s.mu.Unlock()
	if s.before != nil && s.before(w, r, n) {
		return
	}
	s.say(w, s.judge(form))
}

// questions are the forms that were sent.
func (s *site) questions() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *site) say(w http.ResponseWriter, a said) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(a)
}

func refuse(code string) said { return said{"success": false, "error-codes": []string{code}} }

func pass(hostname string) said {
	return said{"success": true, "challenge_ts": "2026-11-23T20:00:00Z", "hostname": hostname, "error-codes": []string{}}
}

func (s *site) judge(form map[string]string) said {
	token := form["response"]
	switch form["secret"] {
	case "":
		return refuse("missing-input-secret")
	case googleTest:
		return pass("testkey.google.com")
	case turnstilePass:
		return pass("example.com")
	case turnstileFail:
		return refuse("invalid-input-response")
	case turnstileSpent:
		return refuse("timeout-or-duplicate")
	case hTest:
		if token != hToken {
			return refuse("not-using-dummy-passcode")
		}
		return pass("dummy-key-pass")
	case secret:
	default:
		return refuse("invalid-input-secret")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, good := s.tokens[token]
	key, spent := s.spent[token]
	switch {
	case !good:
		return refuse("invalid-input-response")
	case spent && (s.kind != "turnstile" || key == "" || key != form["idempotency_key"]):
		if s.kind == "hcaptcha" {
			return refuse("already-seen-response")
		}
		return refuse("timeout-or-duplicate")
	}
	s.spent[token] = form["idempotency_key"]
	return a
}

// verifier verifies with s, and with the site's own secret unless service says another.
func (s *site) verifier(t *testing.T, service config.CaptchaService, hostnames ...string) *captcha.Verifier {
	t.Helper()
	service.VerifyURL = s.URL + "/siteverify"
	if service.Secret == "" {
		service.Secret = secret
	}
	if service.Score == 0 {
		service.Score = 0.5
	}
	c := map[string]*config.Captcha{
		"recaptcha": {ReCAPTCHA: &service}, "turnstile": {Turnstile: &service}, "hcaptcha": {HCaptcha: &service},
	}[s.kind]
	v, err := captcha.New(c, hostnames, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verify(t *testing.T, v *captcha.Verifier, token string) (captcha.Verdict, error) {
	t.Helper()
	verdict, err := v.Verify(t.Context(), token, "203.0.113.7")
	if err != nil && strings.Contains(err.Error(), "secret-") {
		t.Errorf("the secret is in the error: %v", err)
	}
	return verdict, err
}

// expect verifies a token that the provider gives an answer for.
func expect(t *testing.T, v *captcha.Verifier, token string, want captcha.Verdict) {
	t.Helper()
	if got, err := verify(t, v, token); err != nil || got != want {
		t.Errorf("%.40q: %+v, %v instead of %+v", token, got, err, want)
	}
}
