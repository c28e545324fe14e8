package forms

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/store/storetest"
)

func request(accept string) *http.Request {
	r := httptest.NewRequest("POST", "/", http.NoBody)
	r.Header.Set("Accept", accept)
	return r
}

// provider is a captcha's provider that takes the token "person" once, and is away for "away".
func provider(t *testing.T) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	var spent atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch token := r.PostFormValue("response"); {
		case token == "away":
			w.WriteHeader(500)
		case token == "misconfigured":
			fmt.Fprint(w, `{"success":false,"error-codes":["invalid-input-secret"]}`)
		case token == "doubt":
			fmt.Fprint(w, `{"success":true,"hostname":"a.test","score":0.1,"action":"x"}`)
		case token == "person" && spent.CompareAndSwap(false, true):
			fmt.Fprint(w, `{"success":true,"hostname":"a.test","score":0.9,"action":"x"}`)
		case token == "person":
			fmt.Fprint(w, `{"success":false,"error-codes":["timeout-or-duplicate"]}`)
		default:
			fmt.Fprint(w, `{"success":false,"error-codes":["invalid-input-response"]}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

const withCaptcha = `
  contact:
    origins: [https://a.test]
    fields: {a: {required: true}}
    captcha: {recaptcha: {secret: s, verify_url: "URL"}}
    ` + plenty

func TestACaptchaIsAskedBeforeAnythingIsKept(t *testing.T) {
	url, asked := provider(t)
	h := serve(t, strings.Replace(withCaptcha, "URL", url, 1))
	post := func(body string, fields ...string) answer {
		return h.send(t, "POST", "/forms/contact", body, append(fields, asURL, "Origin: https://a.test")...)
	}
	if got := post("g-recaptcha-response=person", wantsJSON); got.StatusCode != 422 || asked.Load() != 0 {
		t.Errorf("what is wrong anyway spends a token: %d", got.StatusCode)
	}
	for _, token := range []string{"", "robot"} {
		program, person := post("a=1&g-recaptcha-response="+token, wantsJSON), post("a=1&g-recaptcha-response="+token, wantsHTML)
		if program.StatusCode != 403 || !strings.HasPrefix(program.code(), "captcha_") || person.StatusCode != 403 || !strings.Contains(person.text, "Go back") {
			t.Errorf("%q: %d %s, %d", token, program.StatusCode, program.text, person.StatusCode)
		}
	}
	if got := post("a=1&g-recaptcha-response=away", wantsJSON); got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || got.code() != "captcha_unavailable" {
		t.Errorf("away: %d %s", got.StatusCode, got.text)
	}
	if len(h.all(t)) != 0 {
		t.Fatal("something was kept")
	}
	if got := post("a=1&g-recaptcha-response=person"); got.StatusCode != 303 {
		t.Fatal(got.StatusCode, got.text)
	}
	s, err := h.kept.Get(t.Context(), h.all(t)[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := event(t, s.Event); body != "a=1" || s.State != submissions.Pending && s.State != submissions.Done {
		t.Errorf("%q %+v", body, s)
	}
	if got := post("a=1&g-recaptcha-response=person", wantsJSON); got.StatusCode != 403 || got.code() != "captcha_again" {
		t.Errorf("a token is good twice: %d %s", got.StatusCode, got.text)
	}
	if got := post("a=2&g-recaptcha-response=doubt"); got.StatusCode != 303 || h.all(t)[0].State != submissions.Spam {
		t.Errorf("doubt: %d %+v", got.StatusCode, h.all(t)[0])
	}
}

func TestASecretThatIsRefusedNeedsAPerson(t *testing.T) {
	url, _ := provider(t)
	h := serve(t, strings.Replace(withCaptcha, "URL", url, 1))
	for _, c := range []struct {
		token string
		want  int
	}{{"misconfigured", 1}, {"", 1}, {"m%20lformed", 1}, {"away", 1}, {"robot", 0}} {
		h.send(t, "POST", "/forms/contact", "a=1&g-recaptcha-response="+c.token, asURL, "Origin: https://a.test")
		if got := h.forms.Attention(); len(got) != c.want {
			t.Errorf("%s: %q", c.token, got)
		}
	}
}

func TestAProviderThatIsAwayMayFlag(t *testing.T) {
	url, _ := provider(t)
	h := serve(t, strings.Replace(withCaptcha, `"URL"`, `"`+url+`", when_unavailable: flag`, 1))
	got := h.send(t, "POST", "/forms/contact", "a=1&g-recaptcha-response=away", asURL, "Origin: https://a.test")
	if all := h.all(t); got.StatusCode != 303 || len(all) != 1 || strings.Join(all[0].Reasons, "") != "captcha_unavailable" {
		t.Error(got.StatusCode, all)
	}
}

func TestARetryWithItsKeyDoesNotNeedTheCaptchaAgain(t *testing.T) {
	url, asked := provider(t)
	kept := storetest.NewMemory()
	h := serveFrom(t, strings.Replace(withCaptcha, "URL", url, 1), kept, nil)
	post := func(body string) int {
		return h.send(t, "POST", "/forms/contact", body+"&g-recaptcha-response=person", asURL, "Origin: https://a.test", "Idempotency-Key: k").StatusCode
	}
	kept.SetUnavailable(true)
	if got := post("a=1"); got != 503 {
		t.Fatal(got)
	}
	kept.SetUnavailable(false)
	if first, again := post("a=1"), post("a=1"); first != 303 || again != 303 || asked.Load() != 1 || len(h.all(t)) != 1 {
		t.Errorf("%d, %d, asked %d times", first, again, asked.Load())
	}
	if got := post("a=2"); got != 403 {
		t.Errorf("something else with a spent token: %d", got)
	}
}

func TestOneCaptchaIsOneInvocationOfASyncForm(t *testing.T) {
	url, _ := provider(t)
	invoke := &function{answer: func([]byte) (lambda.Result, error) { return lambda.Result{Payload: []byte(`{}`)}, nil }}
	h := serveFrom(t, strings.Replace(withCaptcha+"\n    function: f\n    sync: true", "URL", url, 1), storetest.NewMemory(), invoke)
	post := func() int {
		return h.send(t, "POST", "/forms/contact", "a=1&g-recaptcha-response=person", asURL, "Origin: https://a.test", "Idempotency-Key: k").StatusCode
	}
	if first, again := post(), post(); first != 200 || again != 403 {
		t.Errorf("%d, and with the same token once more %d", first, again)
	}
}

func TestWhatACaptchaSaidIsForgottenInTime(t *testing.T) {
	p, now := newProven(), time.Now()
	p.add("a", "r", now)
	if _, ok := p.find("a", now.Add(provenAge)); !ok {
		t.Error("forgotten too soon")
	}
	if _, ok := p.find("a", now.Add(2*provenAge+time.Second)); ok {
		t.Error("remembered for too long")
	}
}

func TestHangingUpIsNoWayAroundACaptcha(t *testing.T) {
	url, _ := provider(t)
	h := serve(t, strings.Replace(withCaptcha, `"URL"`, `"`+url+`", when_unavailable: flag`, 1))
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	r := httptest.NewRequestWithContext(gone, "POST", "/forms/contact", strings.NewReader("a=1&g-recaptcha-response=robot"))
	r.Header = http.Header{"Content-Type": {urlencoded}, "Origin": {"https://a.test"}}
	h.forms.ServeHTTP(httptest.NewRecorder(), r)
	if all := h.all(t); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
