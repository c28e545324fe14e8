package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// The keys that the X of the tests knows.
var keys = map[string]string{"X_CONSUMER_KEY": "app", "X_CONSUMER_SECRET": "app secret&", "X_ACCESS_TOKEN": "1-user", "X_ACCESS_SECRET": "user/secret="}

// fakeX takes posts that are signed with keys, and answers like X.
type fakeX struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []string
	asked  int
	nonces map[string]bool
	answer func(w http.ResponseWriter, text string) (done bool) // before the usual one, nil for none
}

func newX(t *testing.T) *fakeX {
	x := &fakeX{nonces: make(map[string]bool)}
	x.Server = httptest.NewServer(x)
	t.Cleanup(x.Close)
	return x
}

func (x *fakeX) all() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.posts...)
}

// answers sets what comes before the usual answer. It is called with the lock held.
func (x *fakeX) answers(answer func(w http.ResponseWriter, text string) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answer = answer
}

func (x *fakeX) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked++
	var body struct{ Text string }
	raw, _ := io.ReadAll(r.Body)
	fault := x.verify(r)
	switch {
	case r.Method != "POST" || r.URL.Path != "/2/tweets" || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(raw, &body) != nil:
		problem(w, 400, "Invalid Request", "One or more parameters to your request was invalid.")
	case fault != "":
		problem(w, 401, "Unauthorized", fault)
	case x.answer != nil && x.answer(w, body.Text):
	case len(x.posts) > 0 && x.posts[len(x.posts)-1] == body.Text:
		problem(w, 403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")
	default:
		x.posts = append(x.posts, body.Text)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"id": "177", "text": body.Text}})
	}
}

func problem(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": title, "detail": detail, "status": status})
}

// verify reads the header as RFC 5849 §3.5.1 has it and signs again.
func (x *fakeX) verify(r *http.Request) string {
	fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return "no OAuth"
	}
	got := map[string]string{}
	for field := range strings.SplitSeq(fields, ", ") {
		name, value, _ := strings.Cut(field, "=")
		got[name], _ = url.PathUnescape(strings.Trim(value, `"`))
	}
	signature := got["oauth_signature"]
	delete(got, "oauth_signature")
	at, _ := json.Number(got["oauth_timestamp"]).Int64()
	switch s := (signer{keys["X_CONSUMER_KEY"], keys["X_CONSUMER_SECRET"], keys["X_ACCESS_TOKEN"], keys["X_ACCESS_SECRET"]}); {
	case got["oauth_consumer_key"] != s.consumerKey || got["oauth_token"] != s.token || got["oauth_signature_method"] != "HMAC-SHA1" || got["oauth_version"] != "1.0":
		return "wrong parameters"
	case time.Since(time.Unix(at, 0)).Abs() > time.Minute:
		return "timestamp out of bounds"
	case x.nonces[got["oauth_nonce"]] || len(got["oauth_nonce"]) < 16:
		return "nonce used"
	case signature != s.signature(r.Method, x.URL+r.URL.Path, got):
		return "bad signature"
	}
	x.nonces[got["oauth_nonce"]] = true
	return ""
}

// https://datatracker.ietf.org/doc/html/rfc5849#section-1.2 and what X publishes as "Creating a signature".
func TestSignaturesAreThoseThatArePublished(t *testing.T) {
	for _, test := range []struct {
		signer          signer
		method, address string
		params          map[string]string
		want            string
	}{
		{signer{"dpf43f3p2l4k3l03", "kd94hf93k423kf44", "", ""}, "POST", "https://photos.example.net/initiate",
			map[string]string{"oauth_consumer_key": "dpf43f3p2l4k3l03", "oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "137131200", "oauth_nonce": "wIjqoS", "oauth_callback": "http://printer.example.com/ready"},
			"74KNZJeDHnMBp0EMJ9ZHt/XKycU="},
		{signer{"dpf43f3p2l4k3l03", "kd94hf93k423kf44", "nnch734d00sl2jdk", "pfkkdhi9sl3r4s00"}, "GET", "http://photos.example.net/photos",
			map[string]string{"oauth_consumer_key": "dpf43f3p2l4k3l03", "oauth_token": "nnch734d00sl2jdk", "oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "137131202", "oauth_nonce": "chapoH", "file": "vacation.jpg", "size": "original"},
			"MdpQcU8iPSUjWoN/UDMsK2sui9I="},
		{signer{"xvz1evFS4wEEPTGEFPHBog", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"}, "POST", "https://api.twitter.com/1.1/statuses/update.json",
			map[string]string{"status": "Hello Ladies + Gentlemen, a signed OAuth request!", "include_entities": "true", "oauth_consumer_key": "xvz1evFS4wEEPTGEFPHBog", "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", "oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "1318622958", "oauth_token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", "oauth_version": "1.0"},
			"hCtSmYh+iHYCEqBWrE7C7hYmtUk="},
	} {
		if got := test.signer.signature(test.method, test.address, test.params); got != test.want {
			t.Errorf("%s %s is signed %s, want %s", test.method, test.address, got, test.want)
		}
	}
}

func TestTheResetOfALimitIsTheOneThatWasReached(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		header map[string]string
		want   int64
	}{
		{map[string]string{"x-rate-limit-reset": "1800000100"}, 1800000100},
		{map[string]string{"x-rate-limit-reset": "1800000100", "x-rate-limit-remaining": "99", "x-user-limit-24hour-remaining": "0", "x-user-limit-24hour-reset": "1800070000", "x-app-limit-24hour-remaining": "5", "x-app-limit-24hour-reset": "1800080000"}, 1800070000},
		{map[string]string{"x-rate-limit-reset": "soon"}, 1800000900},
		{nil, 1800000900},
	} {
		header := http.Header{}
		for name, value := range test.header {
			header.Set(name, value)
		}
		if got := reset(header, now); got.Unix() != test.want {
			t.Errorf("%v: %d", test.header, got.Unix())
		}
	}
}
