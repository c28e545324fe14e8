package captcha_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/forms/captcha"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var person = captcha.Verdict{Person: true}

func because(reason string) captcha.Verdict { return captcha.Verdict{Reason: reason} }

func TestATokenIsGoodOnceAndSaysAPerson(t *testing.T) {
	for kind, field := range map[string]string{"recaptcha": "g-recaptcha-response", "turnstile": "cf-turnstile-response", "hcaptcha": "h-captcha-response"} {
		s := start(t, kind, map[string]said{"good": pass("example.com")})
		v := s.verifier(t, config.CaptchaService{})
		expect(t, v, "good", person)
		expect(t, v, "good", because(captcha.Again))
		expect(t, v, "forged", because(captcha.Refused))
		if v.Field() != field {
			t.Errorf("%s: field %s", kind, v.Field())
		}
		got := s.questions()[0]
		if got["secret"] != secret || got["response"] != "good" || got["remoteip"] != "203.0.113.7" {
			t.Errorf("%s was asked %v", kind, got)
		}
		if _, idempotent := got["idempotency_key"]; idempotent != (kind == "turnstile") {
			t.Errorf("%s was asked %v", kind, got)
		}
	}
}

func TestProvidersTestKeysDoWhatTheyAreFor(t *testing.T) {
	for _, c := range []struct {
		kind, secret, token string
		want                captcha.Verdict
	}{
		{"recaptcha", googleTest, "anything", person},
		{"turnstile", turnstilePass, turnstileToken, person},
		{"turnstile", turnstileFail, turnstileToken, because(captcha.Refused)},
		{"turnstile", turnstileSpent, turnstileToken, because(captcha.Again)},
		{"turnstile", secret, turnstileToken, because(captcha.Refused)},
		{"hcaptcha", hTest, hToken, person},
		{"hcaptcha", hTest, "P1_other", because(captcha.Refused)},
	} {
		s := start(t, c.kind, nil)
		expect(t, s.verifier(t, config.CaptchaService{Secret: c.secret}), c.token, c.want)
		if c.want.Person {
			expect(t, s.verifier(t, config.CaptchaService{Secret: c.secret}, "www.example.org"), c.token, because(captcha.Hostname))
		}
	}
}

func TestHostnameActionAndScoreCount(t *testing.T) {
	scored := func(score float64, action string) said {
		return said{"success": true, "hostname": "example.com", "score": score, "action": action}
	}
	bound := config.CaptchaService{Action: "contact"}
	for _, c := range []struct {
		name, kind string
		answer     said
		service    config.CaptchaService
		hostnames  []string
		want       captcha.Verdict
	}{
		{"score at the bound", "recaptcha", scored(0.5, "contact"), bound, nil, person},
		{"score below it", "recaptcha", scored(0.49, "contact"), bound, nil, captcha.Verdict{Person: true, Doubt: true, Reason: captcha.Score}},
		{"another action", "recaptcha", scored(0.9, "login"), bound, nil, because(captcha.Action)},
		{"another action and a low score", "recaptcha", scored(0.1, "login"), bound, nil, because(captcha.Action)},
		{"no action", "recaptcha", pass("example.com"), bound, nil, because(captcha.Action)},
		{"any action", "recaptcha", scored(0.9, "login"), config.CaptchaService{}, nil, person},
		{"v2 has no score", "recaptcha", pass("example.com"), config.CaptchaService{}, nil, person},
		{"Turnstile's action", "turnstile", said{"success": true, "action": "login"}, bound, nil, because(captcha.Action)},
		{"hCaptcha's score is of risk", "hcaptcha", scored(0.0, ""), config.CaptchaService{}, nil, person},
		{"the form's hostname", "turnstile", pass("EXAMPLE.com"), config.CaptchaService{}, []string{"other.org", "example.com"}, person},
		{"a foreign hostname", "turnstile", pass("example.com.evil.net"), config.CaptchaService{}, []string{"example.com"}, because(captcha.Hostname)},
		{"no hostname", "turnstile", said{"success": true}, config.CaptchaService{}, []string{"example.com"}, because(captcha.Hostname)},
		{"the service's hostname", "turnstile", pass("example.com"), config.CaptchaService{Hostnames: []string{"own.org"}}, []string{"example.com"}, because(captcha.Hostname)},
		{"a name below", "turnstile", pass("a.example.com"), config.CaptchaService{}, []string{"*.example.com"}, person},
		{"not a name below", "turnstile", pass("example.com"), config.CaptchaService{}, []string{"*.example.com"}, because(captcha.Hostname)},
		{"every host", "turnstile", pass("example.com"), config.CaptchaService{}, []string{"*"}, person},
		{"hCaptcha may not say", "hcaptcha", pass("not-provided"), config.CaptchaService{}, []string{"example.com"}, person},
		{"hCaptcha may say null", "hcaptcha", said{"success": true, "hostname": nil}, config.CaptchaService{}, []string{"example.com"}, person},
		{"others have to", "recaptcha", pass("not-provided"), config.CaptchaService{}, []string{"example.com"}, because(captcha.Hostname)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.kind, map[string]said{"token": c.answer})
			expect(t, s.verifier(t, c.service, c.hostnames...), "token", c.want)
		})
	}
}

func TestWhatCannotBeATokenIsNotAskedAbout(t *testing.T) {
	for kind, longest := range map[string]int{"recaptcha": 8192, "turnstile": 2048, "hcaptcha": 16384} {
		fits := strings.Repeat("x", longest)
		s := start(t, kind, map[string]said{fits: pass("example.com")})
		v := s.verifier(t, config.CaptchaService{})
		expect(t, v, "", because(captcha.Missing))
		for _, bad := range []string{fits + "x", "a b", "a\r\nb", "tökén", "\x00", "a\xff"} {
			expect(t, v, bad, because(captcha.Malformed))
		}
		if len(s.questions()) != 0 {
			t.Errorf("%s was asked %d times", kind, len(s.questions()))
		}
		expect(t, v, fits, person)
	}
}

func TestAWrongSecretAsksForAPersonAndIsNotTold(t *testing.T) {
	for _, kind := range []string{"recaptcha", "turnstile", "hcaptcha"} {
		s := start(t, kind, nil)
		_, err := verify(t, s.verifier(t, config.CaptchaService{Secret: "secret-of-nobody"}), "token")
		if !errors.Is(err, captcha.ErrSecret) || !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", kind, err)
		}
		if len(s.questions()) != 1 {
			t.Errorf("%s was asked %d times", kind, len(s.questions()))
		}
	}
}

func TestNoVisitorRaisesAnAlarm(t *testing.T) {
	for _, code := range []string{"bad-request", "sitekey-secret-mismatch", "not-using-dummy-secret", "missing-input-response", "not-known-yet"} {
		s := start(t, "hcaptcha", map[string]said{"token": refuse(code)})
		expect(t, s.verifier(t, config.CaptchaService{}), "token", because(captcha.Refused))
	}
}

// elsewhere answers with anything but a verdict.
var elsewhere = map[string]http.HandlerFunc{
	"redirect": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	},
	"server error": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = w.Write([]byte(`{"success":false}`))
	},
	"throttled": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(429)
		_, _ = w.Write([]byte(`{"success":false}`))
	},
	"yes by 400": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"success":true}`))
	},
	"page": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Bad Request</html>")) },
	"endless": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"success":true}` + strings.Repeat(" ", 70<<10)))
	},
	"broken off": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"success":true}`))
	},
	"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"internal error": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"success":false,"error-codes":["internal-error"]}`))
	},
	"contradiction": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"success":true,"error-codes":["x"]}`))
	},
}

func TestNoClearAnswerIsNone(t *testing.T) {
	for name, handler := range elsewhere {
		for _, kind := range []string{"recaptcha", "turnstile"} {
			s := start(t, kind, map[string]said{"token": pass("example.com")})
			s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool { handler(w, r); return true }
			got, err := verify(t, s.verifier(t, config.CaptchaService{Secret: secret}), "token")
			if !errors.Is(err, fault.Unavailable) || errors.Is(err, captcha.ErrSecret) || got != (captcha.Verdict{}) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			if want := map[string]int{"recaptcha": 1, "turnstile": 2}[kind]; len(s.questions()) != want {
				t.Errorf("%s: %s was asked %d times", name, kind, len(s.questions()))
			}
		}
	}
}

func TestTurnstileIsAskedAgainWithTheSameKeyWhenItsAnswerWasLost(t *testing.T) {
	s := start(t, "turnstile", map[string]said{"token": pass("example.com")})
	s.before = func(_ http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 { // it was verified, and is spent
			s.judge(map[string]string{"secret": secret, "response": r.PostForm.Get("response"), "idempotency_key": r.PostForm.Get("idempotency_key")})
			panic(http.ErrAbortHandler)
		}
		return false
	}
	v := s.verifier(t, config.CaptchaService{})
	expect(t, v, "token", person)
	if first, second := s.questions()[0]["idempotency_key"], s.questions()[1]["idempotency_key"]; len(first) != 36 || first != second {
		t.Errorf("asked with %q and %q", first, second)
	}
	expect(t, v, "token", because(captcha.Again))
}

// silent never answers, until it is told to end.
func silent(t *testing.T, kind string) (*site, *atomic.Int32) {
	s, end, open := start(t, kind, nil), make(chan struct{}), new(atomic.Int32)
	s.before = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		open.Add(1)
		select {
		case <-r.Context().Done():
		case <-end:
		}
		return true
	}
	t.Cleanup(func() { close(end) })
	return s, open
}

func TestAllTriesTakeThreeSeconds(t *testing.T) {
	var wg sync.WaitGroup
	for _, kind := range []string{"recaptcha", "turnstile"} {
		s, tries := silent(t, kind)
		v := s.verifier(t, config.CaptchaService{})
		wg.Go(func() {
			began := time.Now()
			_, err := v.Verify(t.Context(), "token", "")
			if took := time.Since(began); !errors.Is(err, fault.Unavailable) || took < 2900*time.Millisecond || took > 6*time.Second {
				t.Errorf("%s: %v after %v", kind, err, took)
			}
			if want := map[string]int32{"recaptcha": 1, "turnstile": 2}[kind]; tries.Load() != want {
				t.Errorf("%s: %d tries", kind, tries.Load())
			}
		})
	}
	wg.Wait()
}

func TestNoMoreThanSixtyFourAreAskedAboutAtOnce(t *testing.T) {
	s, end := start(t, "recaptcha", nil), make(chan struct{})
	arrived := make(chan struct{}, 200)
	s.before = func(http.ResponseWriter, *http.Request, int) bool {
		arrived <- struct{}{}
		<-end
		return false
	}
	v := s.verifier(t, config.CaptchaService{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { _, _ = v.Verify(t.Context(), "token", "") })
	}
	for range 64 {
		<-arrived
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := v.Verify(soon, "token", ""); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "too many") {
		t.Errorf("the 65th: %v", err)
	}
	close(end)
	wg.Wait()
	if len(arrived) != 0 {
		t.Errorf("%d more were asked about", len(arrived))
	}
	expect(t, v, "token", because(captcha.Refused))
}

func TestTheVisitorsAddressIsToldOnlyIfItIsOne(t *testing.T) {
	s := start(t, "recaptcha", nil)
	v := s.verifier(t, config.CaptchaService{})
	for given, want := range map[string]string{"": "", "nonsense": "", "192.0.2.1:80": "", "::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1", "2001:db8::1": "2001:db8::1"} {
		if _, err := v.Verify(t.Context(), "token", given); err != nil {
			t.Fatal(err)
		}
		if got := s.questions()[len(s.questions())-1]["remoteip"]; got != want {
			t.Errorf("%q is told as %q", given, got)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	good := &config.CaptchaService{Secret: "secret-1"}
	for want, c := range map[string]*config.Captcha{
		"name one":      {},
		"name only one": {ReCAPTCHA: good, HCaptcha: good},
		"needs its":     {Turnstile: &config.CaptchaService{}},
		"no action":     {HCaptcha: &config.CaptchaService{Secret: "secret-1", Action: "x"}},
		"verify_url":    {Turnstile: &config.CaptchaService{Secret: "secret-1", VerifyURL: "ftp://secret-1"}},
	} {
		if _, err := captcha.New(c, nil, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-1") {
			t.Errorf("%q: %v", want, err)
		}
	}
	if _, err := captcha.New(nil, nil, nil); err == nil {
		t.Error("no captcha is one")
	}
	if _, err := captcha.New(&config.Captcha{Turnstile: good}, nil, nil); err != nil {
		t.Error(err)
	}
}
