package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/config"
)

// serve serves until the test ends.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// get is a job that makes a request.
func get(at string) *Actions { return only(config.Job{HTTP: &config.JobHTTP{URL: at, Method: "GET"}}) }

func TestARequestTellsItsRun(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		fmt.Fprintln(w, r.Method, r.URL, r.Host, string(body), h.Get("X-Key"), h.Get("User-Agent"), h.Get("X-Request-Id"), h.Get("X-Edge-Job"), h.Get("X-Edge-Run"), h.Get("Idempotency-Key"))
	})
	a := only(config.Job{HTTP: &config.JobHTTP{
		URL: s.URL + "/warm?a=b", Method: "PUT", Body: "text",
		Headers: map[string]string{"x-key": "k", "host": "other.example.com", "user-agent": "me", "x-edge-run": "a lie"},
	}})
	got, err := a.Run(soon(t), run)
	if want := "PUT /warm?a=b other.example.com text k me req-1 nightly nightly-2027-01-31 nightly-2027-01-31"; err != nil || got.Output != want {
		t.Errorf("%q, %v, want %q", got.Output, err, want)
	}
}

func TestAStatusSaysWhetherToTryAgain(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscan(strings.Trim(r.URL.Path, "/"), &status)
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "said")
	})
	for path, want := range map[string]string{
		"/200": "done", "/202": "done", "/299": "done", "/300": "never", "/301": "never", "/400": "never", "/401": "never", "/404": "never", "/410": "never",
		"/408": "later", "/409": "later", "/423": "later", "/425": "later", "/429": "later", "/500": "later", "/503": "later", "/599": "later", "/700": "later",
	} {
		result, err := get(s.URL+path).Run(soon(t), run)
		got := "failed"
		switch {
		case err == nil:
			got = "done"
		case permanent(err):
			got = "never"
		case after(err) == 2*time.Minute && !down(err):
			got = "later"
		}
		if got != want || result.Output != "said" {
			t.Errorf("%s: %s %q (%v), want %s", path, got, result.Output, err, want)
		}
	}
}

func TestARedirectIsFollowedToTheSameHost(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.Copy(w, r.Body)
		_, _ = io.WriteString(w, r.URL.Path+r.Header.Get("X-Edge-Run"))
	})
	a := only(config.Job{HTTP: &config.JobHTTP{URL: s.URL + "/from", Method: "POST", Body: "body"}})
	if got, err := a.Run(soon(t), run); err != nil || got.Output != "body/to"+run.ID {
		t.Errorf("%q, %v", got.Output, err)
	}
}

func TestARedirectElsewhereIsNotFollowed(t *testing.T) {
	var asked atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/?token=secret", http.StatusFound)
	})
	if _, err := get(s.URL).Run(soon(t), run); !permanent(err) || asked.Load() != 0 || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v, and the other host was asked %d times", err, asked.Load())
	}
	rounds := serve(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); http.Redirect(w, r, "/", http.StatusFound) })
	if _, err := get(rounds.URL).Run(soon(t), run); !permanent(err) || asked.Load() != 1+redirectsMost {
		t.Errorf("in a circle: %v, after %d requests", err, asked.Load())
	}
}

func TestWhichRedirectsAreFollowed(t *testing.T) {
	for way, want := range map[string]bool{
		"http://a/ http://a/x": true, "http://a/ http://A:80/x": true, "http://a/ https://a/": true, "https://a/ https://a:443/": true, "http://a:80/ https://a/": true,
		"https://a/ http://a/": false, "http://a/ http://b/": false, "http://a/ http://x.a/": false, "http://a/ http://a:81/": false,
		"http://a:81/ https://a/": false, "https://a/ https://a:444/": false, "http://a/ https://a/ http://a/": false, "http://[::1]/ http://127.0.0.1/": false,
	} {
		var via []*http.Request
		for _, one := range strings.Fields(way) {
			at, err := url.Parse(one)
			if err != nil {
				t.Fatal(err)
			}
			via = append(via, &http.Request{URL: at})
		}
		last := len(via) - 1
		if err := follow(via[last], via[:last]); (err == nil) != want {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestAServerThatDripsOrHangsIsLeftInTime(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
		for {
			if _, err := io.WriteString(w, "."); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for _, path := range []string{"/drip", "/hang"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := get(s.URL+path).Run(ctx, run)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || permanent(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOfALongAnswerTheBeginningIsRead(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for line := strings.Repeat("x", 1000) + "\n"; r.Context().Err() == nil; {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	})
	got, err := get(s.URL).Run(soon(t), run)
	if err != nil || len(got.Output) < outputMost-2 || len(got.Output) > outputMost {
		t.Errorf("%d bytes, %v", len(got.Output), err)
	}
}

func TestAnAnswerThatBreaksOffIsAFailure(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	if got, err := get(s.URL).Run(soon(t), run); !errors.Is(err, io.ErrUnexpectedEOF) || permanent(err) || got.Output != "half" {
		t.Errorf("%q, %v", got.Output, err)
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "safe") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	defer s.Close()
	_, err := get(s.URL+"/?token=secret").Run(soon(t), run)
	if err == nil || permanent(err) || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "secret") {
		t.Errorf("an unknown certificate: %v", err)
	}
	a := New(Options{Client: s.Client(), Log: quiet})
	a.Use(map[string]config.Job{"nightly": {HTTP: &config.JobHTTP{URL: s.URL, Method: "GET"}}})
	if got, err := a.Run(soon(t), run); err != nil || got.Output != "safe" {
		t.Errorf("%q, %v", got.Output, err)
	}
}

func TestAServerThatIsNotThereIsAFailureWithoutTheURL(t *testing.T) {
	s := serve(t, nil)
	s.Close()
	_, err := get(strings.Replace(s.URL, "http://", "http://user:secret@", 1)+"/secret?token=secret").Run(soon(t), run)
	if err == nil || permanent(err) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if _, err = get("http://[secret").Run(soon(t), run); !permanent(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("no URL: %v", err)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2027, 1, 31, 3, 0, 0, 0, time.UTC)
	for field, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "1.5": 0, "86401": longestAfter, "99999999999999999999999": longestAfter,
		"Sun, 31 Jan 2027 03:00:30 GMT": 30 * time.Second, "Sun, 31 Jan 2027 02:00:00 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": longestAfter,
	} {
		if got := retryAfter(field, now); got != want {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "Sun, 31 Jan 2027 03:00:30 GMT", "9223372036854775808", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		if got := retryAfter(field, time.Unix(0, 0)); got < 0 || got > longestAfter {
			t.Errorf("%q: %v", field, got)
		}
	})
}

func FuzzOutput(f *testing.F) {
	f.Add([]byte("\x1b[31m\xff€\r\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		var once, parts tail
		_, _ = once.Write(text)
		cut = min(max(cut, 0), len(text))
		_, _ = parts.Write(text[:cut])
		_, _ = parts.Write(text[cut:])
		got := once.String()
		if got != parts.String() {
			t.Error("it depends on how it was written")
		}
		if len(got) > outputMost || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\r\u009b") || len(shortened(string(text))) > pingMost {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestTheLastCharactersAreKeptWhole(t *testing.T) {
	var got tail
	for range 3000 {
		_, _ = io.WriteString(&got, "€€")
	}
	if text := got.String(); text != strings.Repeat("€", outputMost/3) {
		t.Errorf("%d bytes: %.20q", len(text), text)
	}
}
