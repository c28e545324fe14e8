package forms

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATokenIsGoodForItsFormAndTimeAndWhoSignedIt(t *testing.T) {
	mine, _ := newTokens([]byte("one"))
	other, _ := newTokens([]byte("two"))
	now := time.Now()
	text := mine.issue("contact", fetched, now)
	good := func(s tokens, text, form string, at time.Time) bool {
		_, ok := s.read(text, form, at, time.Hour)
		return ok
	}
	if !good(mine, text, "contact", now) || !good(mine, text, "contact", now.Add(59*time.Minute)) || !good(mine, text, "contact", now.Add(-30*time.Second)) {
		t.Error("a good token is refused")
	}
	if good(mine, text, "other", now) || good(other, text, "contact", now) || good(mine, text, "contact", now.Add(61*time.Minute)) || good(mine, text, "contact", now.Add(-2*time.Minute)) {
		t.Error("a bad token is good")
	}
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	for i := range raw {
		raw[i] ^= 1
		if good(mine, base64.RawURLEncoding.EncodeToString(raw), "contact", now) {
			t.Errorf("byte %d may be changed", i)
		}
		raw[i] ^= 1
	}
	if mine.issue("contact", fetched, now) == text {
		t.Error("two tokens are the same")
	}
}

func FuzzToken(f *testing.F) {
	signer, _ := newTokens([]byte("key"))
	now := time.UnixMilli(1 << 41)
	plain := append([]byte{byte(fetched)}, 0, 0, 2, 0, 0, 0, 0, 0) // processes that fuzz together have to see the same token
	text := base64.RawURLEncoding.EncodeToString(signer.sign(append(plain, make([]byte, 16, 48)...), "contact"))
	if _, ok := signer.read(text, "contact", now, time.Hour); !ok {
		f.Fatal("the token is not good")
	}
	f.Add(text)
	f.Add(text + "=")
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := signer.read(s, "contact", now, time.Hour); ok && s != text {
			t.Errorf("%q is good", s)
		}
	})
}

const withToken = `  contact: {token: {min_fill: 3s, max_age: 1h}, ` + plenty + `}`

func TestWithoutAScriptOneButtonSendsItAll(t *testing.T) {
	h := serve(t, strings.Replace(withToken, "3s", "0s", 1))
	page := h.send(t, "POST", "/forms/contact", "name=%3Cb%3E%22Ann%22&note=a%0Ab&_gotcha=", asURL, wantsHTML)
	if page.StatusCode != 200 || len(h.all(t)) != 0 {
		t.Fatal(page.StatusCode, page.text)
	}
	hidden := hiddenOf(page.text)
	if hidden.Get("name") != `<b>"Ann"` || hidden.Get("note") != "a\nb" || hidden.Get("_token") == "" || hidden.Has("_gotcha") {
		t.Fatal(hidden, page.text)
	}
	first := h.send(t, "POST", "/forms/contact", hidden.Encode(), asURL, wantsHTML)
	again := h.send(t, "POST", "/forms/contact", hidden.Encode(), asURL, wantsHTML)
	if first.StatusCode != 303 || again.StatusCode != 303 || len(h.all(t)) != 1 {
		t.Errorf("%d, %d, %d were kept", first.StatusCode, again.StatusCode, len(h.all(t)))
	}
	hidden.Set("name", "Bob")
	other := h.send(t, "POST", "/forms/contact", hidden.Encode(), asURL, wantsHTML)
	if fresh := hiddenOf(other.text); other.StatusCode != 200 || fresh.Get("_token") == hidden.Get("_token") || fresh.Get("name") != "Bob" {
		t.Errorf("the same token with something else: %d %v", other.StatusCode, fresh)
	}
	if got := h.send(t, "POST", "/forms/contact", hidden.Encode(), asURL, wantsJSON); got.StatusCode != 403 || got.code() != "token" {
		t.Errorf("the same for a program: %d %s", got.StatusCode, got.text)
	}
}

func TestAButtonPressedTooSoonKeepsItsToken(t *testing.T) {
	h := serve(t, withToken)
	page := hiddenOf(h.send(t, "POST", "/forms/contact", "a=1", asURL, wantsHTML).text)
	soon := h.send(t, "POST", "/forms/contact", page.Encode(), asURL, wantsHTML)
	if got := hiddenOf(soon.text); soon.StatusCode != 200 || !strings.Contains(soon.text, "very quick") || got.Get("_token") != page.Get("_token") || got.Get("a") != "1" {
		t.Error(soon.StatusCode, soon.text)
	}
	old := h.forms.tokens.issue("contact", onPage, time.Now().Add(-3*time.Second))
	if got := h.send(t, "POST", "/forms/contact", "a=1&_token="+old, asURL, wantsHTML); got.StatusCode != 303 {
		t.Error(got.StatusCode, got.text)
	}
	if all := h.all(t); len(all) != 1 || len(all[0].Reasons) != 0 {
		t.Error(all)
	}
}

func TestWhoIsFasterThanPeopleIsFlaggedAndWhoIsTooLateIsAskedAgain(t *testing.T) {
	h := serve(t, withToken)
	fast := h.token(t, "contact")
	if got := h.send(t, "POST", "/forms/contact", `{"a":1,"_token":"`+fast+`"}`, asJSON); got.StatusCode != 200 {
		t.Error(got.StatusCode, got.text)
	}
	if all := h.all(t); len(all) != 1 || strings.Join(all[0].Reasons, "") != "too_fast" {
		t.Error(all)
	}
	late := h.forms.tokens.issue("contact", fetched, time.Now().Add(-61*time.Minute))
	for _, bad := range []string{"", late, h.token(t, "contact") + "x"} {
		program := h.send(t, "POST", "/forms/contact", `{"a":1,"_token":"`+bad+`"}`, asJSON)
		person := h.send(t, "POST", "/forms/contact", url.Values{"a": {"1"}, "_token": {bad}}.Encode(), asURL, wantsHTML)
		if program.StatusCode != 403 || program.code() != "token" || person.StatusCode != 200 || hiddenOf(person.text).Get("_token") == bad {
			t.Errorf("%q: %d %s, %d", bad, program.StatusCode, program.text, person.StatusCode)
		}
	}
}

func TestFilesAreChosenAgainOnTheButtonsPage(t *testing.T) {
	h := serve(t, withToken)
	body := "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=cv; filename=cv.pdf\r\n\r\n%PDF-secret\r\n--x--\r\n"
	got := h.send(t, "POST", "/forms/contact", body, "Content-Type: multipart/form-data; boundary=x", wantsHTML)
	if got.StatusCode != 200 || !strings.Contains(got.text, "go back") || !strings.Contains(got.text, `type="file"`) || !strings.Contains(got.text, `enctype="multipart/form-data"`) || strings.Contains(got.text, "secret") {
		t.Error(got.StatusCode, got.text)
	}
}

func TestTokensAreLimitedByThemselves(t *testing.T) {
	h := serve(t, `  contact: {limits: {rate: 1/h, burst: 1}}`)
	for range networkShare {
		h.token(t, "contact")
	}
	if got := h.send(t, "GET", "/forms/contact/token", "", wantsJSON); got.StatusCode != 429 || got.Header.Get("Retry-After") == "" {
		t.Error(got.StatusCode)
	}
	if got := h.send(t, "POST", "/forms/contact", "a=1", asURL); got.StatusCode != 303 {
		t.Error("fetching tokens uses up what may be sent", got.StatusCode)
	}
}

func TestABucketFillsAtItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(load(t, `  a: {limits: {rate: 60/m, burst: 3}}`).Forms["a"].Limits, nil)
		one := addr("192.0.2.1")
		for range 3 {
			if l.take(one, time.Now()) > 0 {
				t.Fatal("the burst is refused")
			}
		}
		if wait := l.take(one, time.Now()); wait != time.Second {
			t.Errorf("wait %v", wait)
		}
		time.Sleep(time.Second) // of the bubble's clock
		if l.take(one, time.Now()) > 0 || l.take(one, time.Now()) == 0 {
			t.Error("a second gives one more")
		}
	})
}

func TestATokenSaysHowLongItIsTooNew(t *testing.T) {
	h := serve(t, "\n  contact: {token: {min_fill: 1500ms}}\n  open: {}\n")
	for form, want := range map[string]string{"contact": `"wait":1.5}`, "open": `"wait":0}`} {
		if got := h.send(t, "GET", "/forms/"+form+"/token", ""); !strings.Contains(got.text, want) {
			t.Errorf("%s: %s", form, got.text)
		}
	}
}
