package cert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert/budget"
)

func certificateOf(days int, signature byte) *x509.Certificate {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &x509.Certificate{
		NotBefore: from, NotAfter: from.AddDate(0, 0, days),
		Signature: []byte{9, 9, signature, 2, 3, 4, 5, 6, 7, 8},
	}
}

func TestRenewalWithoutWordFromTheCA(t *testing.T) {
	leaf := certificateOf(90, 0)
	if got, want := renewalOf(leaf).at, leaf.NotBefore.AddDate(0, 0, 60); !got.Equal(want) {
		t.Errorf("at %v, want %v", got, want)
	}
}

func TestTheTimeInAWindow(t *testing.T) {
	leaf, other := certificateOf(90, 1), certificateOf(90, 200)
	window := renewalWindow{start: leaf.NotBefore.AddDate(0, 0, 50), end: leaf.NotBefore.AddDate(0, 0, 52)}
	at := window.timeFor(leaf)
	if at.Before(window.start) || at.After(window.end) {
		t.Errorf("%v is not in the window", at)
	}
	if again := window.timeFor(leaf); !again.Equal(at) {
		t.Errorf("another time after a restart: %v and %v", at, again)
	}
	if window.timeFor(other).Equal(at) {
		t.Error("all certificates are renewed at the same time")
	}
	late := renewalWindow{start: leaf.NotAfter.AddDate(0, 0, -1), end: leaf.NotAfter.AddDate(1, 0, 0)}
	if got, last := late.timeFor(leaf), leaf.NotAfter.Add(-90*24*time.Hour/20); got.After(last) {
		t.Errorf("at %v, after %v: the CA's word can let a certificate run out", got, last)
	}
	all := renewalWindow{start: leaf.NotBefore, end: leaf.NotAfter}
	for signature := range 256 {
		if got, last := all.timeFor(certificateOf(90, byte(signature))), leaf.NotAfter.Add(-90*24*time.Hour/4); got.After(last) {
			t.Fatalf("at %v, after %v: no time is left for attempts in vain", got, last)
		}
	}
}

func TestRenewalWindowsAreReadStrictly(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},"explanationURL":"https://ca.example/why"}`: true,
		`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-02T04:00:01Z"}}`:                                           true, // revoked, says Pebble
		`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-02T04:00:00Z"}}`:                                           false,
		`{"suggestedWindow":{"start":"2026-01-03T04:00:00Z","end":"2026-01-02T04:00:00Z"}}`:                                           false,
		`{"suggestedWindow":{"end":"2026-01-02T04:00:00Z"}}`:                                                                          false,
		`{"suggestedWindow":"soon"}`: false,
		`{}`:                         false,
		``:                           false,
		`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},"explanationURL":"javascript:alert(1)"}`:               true,
		`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},"explanationURL":"` + strings.Repeat("x", 5000) + `"}`: true,
	} {
		window, err := parseRenewalWindow([]byte(body))
		if (err == nil) != ok {
			t.Errorf("%.100s: %v", body, err)
		}
		if window.explanation != "" && window.explanation != "https://ca.example/why" {
			t.Errorf("%.100s: explanation %q", body, window.explanation)
		}
	}
}

func FuzzRenewalWindow(f *testing.F) {
	f.Add([]byte(`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},"explanationURL":"https://ca.example/why"}`))
	leaf := certificateOf(90, 7)
	f.Fuzz(func(t *testing.T, body []byte) {
		window, err := parseRenewalWindow(body)
		if err != nil {
			return
		}
		if at := window.timeFor(leaf); !window.end.After(window.start) || at.After(leaf.NotAfter) {
			t.Errorf("%q: %v in %+v", body, at, window)
		}
	})
}

func TestBackoff(t *testing.T) {
	lost := &requestError{errors.New("connection refused")}
	refused := acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403}
	disk := errors.New("no space left on device")
	for _, test := range []struct {
		err           error
		count, posted int
		least, most   time.Duration
	}{
		{lost, 1, 0, time.Second, 2 * time.Second},
		{lost, 1000, 0, 5 * time.Second, 6 * time.Second}, // got within seconds of the CA's return
		{&errUnreachable{lost}, 5, 0, 5 * time.Second, 6 * time.Second},
		{lost, 1, 1, time.Second, 2 * time.Second}, // gone in the middle of an order, once
		{lost, 2, 2, 40 * time.Second, 48 * time.Second},
		{refused, 1, 1, 10 * time.Second, 12 * time.Second},
		{refused, 3, 3, 160 * time.Second, 192 * time.Second},
		{refused, 1000, 1000, time.Hour, 72 * time.Minute},
		{orders{{"http-01", fmt.Errorf("solving: %w", refused)}}, 1, 1, 10 * time.Second, 12 * time.Second},
		{errors.New("order took too long"), 9, 9, time.Hour, 72 * time.Minute}, // whatever came of it, the CA was asked
		{disk, 1, 0, 5 * time.Second, 6 * time.Second},
		{disk, 1000, 0, time.Minute, 72 * time.Second},
		{&budget.Spent{Until: time.Now().Add(10 * time.Hour)}, 1, 1, 9 * time.Hour, 12 * time.Hour},
	} {
		if got := backoff(test.err, test.count, test.posted); got < test.least || got > test.most {
			t.Errorf("%v, %d times, %d of them posted: %v, want %v to %v", test.err, test.count, test.posted, got, test.least, test.most)
		}
	}
}

func TestReasonsAreInTheWordsOfTheCA(t *testing.T) {
	problem := acme.Problem{
		Type: acme.ProblemTypeUnauthorized, Status: 403, Detail: "Invalid response from http://a.test/: 404\x1b[31m\n",
		Resource: acme.Authorization{},
	}
	failed := orders{{"http-01", problem}, {"tls-alpn-01", fmt.Errorf("[a.test] solving challenge: %w", problem)}}
	want := "http-01: Invalid response from http://a.test/: 404 [31m  (unauthorized); tls-alpn-01: Invalid response from http://a.test/: 404 [31m  (unauthorized)"
	if got := reason(fmt.Errorf("[a.test] Obtain: %w", failed)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := reason(errors.New(strings.Repeat("é", 4000))); len(got) > 1100 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestACAMayAskToBeLeftAlone(t *testing.T) {
	answer := func(status int, value string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {value}}}
	}
	for _, value := range []string{"", "soon", "-5", "0"} {
		var a attempt
		if a.pause(answer(503, value)); a.until.After(time.Now()) {
			t.Errorf("%q: until %v", value, a.until)
		}
	}
	date := time.Now().Add(300 * 24 * time.Hour).UTC().Format(http.TimeFormat)
	for _, test := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{429, "3600", time.Hour}, {429, "99999999999", 7 * 24 * time.Hour}, {429, date, 7 * 24 * time.Hour},
		{503, "60", time.Minute}, {503, "99999999999", time.Hour}, {503, date, time.Hour},
	} {
		var a attempt
		a.pause(answer(test.status, test.value))
		if got := time.Until(a.until); got > test.want || got < test.want-time.Minute {
			t.Errorf("%d %q: %v", test.status, test.value, got)
		}
	}
}

// A CA says how often it is asked how an order stands: neither without a pause nor after the order was given up.
func TestOrdersArePolledAtAPaceOfOurs(t *testing.T) {
	for said, want := range map[string]string{"0": "1", "-1": "", "2": "2", "86400": "15", "99999999999": "15", "soon": "", "": "", "Mon, 02 Jan 2006 15:04:05 GMT": "1"} {
		header := http.Header{"Retry-After": {said}}
		if pace(header); header.Get("Retry-After") != want && !(want == "2" && header.Get("Retry-After") == "1") {
			t.Errorf("%q: %q, want %q", said, header.Get("Retry-After"), want)
		}
	}
}

func TestIssuersHaveFoldersOfTheirOwn(t *testing.T) {
	keys := make(map[string]string)
	for _, directory := range []string{
		config.Issuer{Name: config.LetsEncrypt}.DirectoryURL(), "https://ca.test/acme/",
		"https://127.0.0.1:1443/dir", "https://127.0.0.11:443/dir", "https://127.0.0.1/1443/dir",
	} {
		key := (&acmeCA{issuer: budget.Issuer{Directory: directory}}).IssuerKey()
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s share %s", directory, other, key)
		}
		keys[key] = directory
	}
	if keys["acme-v02.api.letsencrypt.org-directory"] == "" {
		t.Error("it is not certmagic's folder")
	}
}
