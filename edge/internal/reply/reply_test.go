package reply_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
	"github.com/onehost/edge/edge/internal/reply"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func failing(status int, reason string) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) { reply.Error(x, status, reason) })
}

func TestProblemForPrograms(t *testing.T) {
	for _, accept := range []string{
		"", "*/*", "application/json", "application/json, text/plain, */*", "application/problem+json", "text/html;q=0.5, */*", "text/html;q=0, */*;q=0.1",
		"application/json, text/html", "text/plain", "TEXT/HTML;q=0.4, application/*;q=0.5", "text/html;Q=0", "image/*",
	} {
		var options []exchangetest.Option
		if accept != "" {
			options = append(options, exchangetest.Field("Accept", accept))
		}
		x, r := exchangetest.New("GET", "/", options...)
		r.Serve(failing(502, "target_connect_error"))
		if r.Status != 502 || r.Fields.Get("Content-Type") != "application/problem+json" || r.Length != int64(r.Body.Len()) {
			t.Errorf("%s: %d %v, %d of %d bytes", accept, r.Status, r.Fields, r.Body.Len(), r.Length)
			continue
		}
		var problem struct {
			Type, Title, Detail string
			Status              int
			RequestID           string `json:"request_id"`
		}
		d := json.NewDecoder(&r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&problem); err != nil {
			t.Fatal(err)
		}
		if problem.Type != "about:blank" || problem.Title != "Bad Gateway" || problem.Status != 502 || problem.Detail == "" || problem.RequestID != "test-request" {
			t.Errorf("%+v", problem)
		}
		if x.Record.ErrorReason != "target_connect_error" {
			t.Errorf("reason %q", x.Record.ErrorReason)
		}
	}
}

func TestPageForBrowsers(t *testing.T) {
	for _, accept := range []string{browser, "text/html", "text/html, */*", "text/html;level=1;q=0.9, */*;q=0.1", "text/*, */*", "application/json;q=0.9, text/html", "text/*;q=0.2, text/html"} {
		x, r := exchangetest.New("GET", "/", exchangetest.Field("accept", accept))
		x.ID = `<b>"&'x`
		r.Serve(failing(404, "no_host"))
		if r.Status != 404 || r.Fields.Get("Content-Type") != "text/html; charset=utf-8" || r.Length != int64(r.Body.Len()) {
			t.Errorf("%s: %d %v", accept, r.Status, r.Fields)
		}
		if body := r.Body.String(); !strings.Contains(body, "<code>&#60;b&#62;&#34;&#38;&#39;x</code>") || strings.Contains(body, "no_host") {
			t.Error(body)
		}
	}
}

// The page needs nothing from elsewhere, is well-formed, and its policy allows its own style and nothing else.
func TestPageIsSelfContained(t *testing.T) {
	_, r := exchangetest.New("GET", "/", exchangetest.Field("Accept", browser))
	r.Serve(failing(503, "no_healthy_target"))
	body := r.Body.String()
	for _, not := range []string{"http:", "https:", "//", "url(", "<script", "<link", "<img", "no_healthy_target", "{"} {
		page := body
		if not == "{" {
			page = body[:strings.Index(body, "<style>")] + body[strings.Index(body, "</style>"):]
		}
		if strings.Contains(page, not) {
			t.Errorf("%q is in the page", not)
		}
	}
	_, style, _ := strings.Cut(body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	if policy := r.Fields.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) {
		t.Error(policy)
	}
	for _, want := range []string{`<html lang="en">`, "prefers-color-scheme:dark", "<h1>Service Unavailable</h1>", "<title>503 Service Unavailable</title>", "width=device-width", "<main>"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorFields(t *testing.T) {
	x, r := exchangetest.New("GET", "/")
	for _, name := range []string{"Retry-After", "www-authenticate", "Allow", "Content-Range", "X-Request-ID"} {
		x.Response.Fields.Add(name, "kept")
	}
	for _, name := range []string{"Set-Cookie", "Etag", "Content-Encoding", "Content-Type", "Cache-Control", "Location", "Server"} {
		x.Response.Fields.Add(name, "of the target")
	}
	x.Response.Trailers.Add("X", "of the target")
	x.Response.Length = 5
	r.Serve(failing(503, "x"))
	text := fmt.Sprint(r.Fields, r.Trailers)
	if strings.Contains(text, "of the target") || strings.Count(text, "kept") != 5 {
		t.Error(text)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if r.Fields.Get(name) != want {
			t.Errorf("%s: %s", name, r.Fields.Get(name))
		}
	}
}

func TestEveryStatus(t *testing.T) {
	for status := range 700 {
		_, r := exchangetest.New("GET", "/", exchangetest.Field("Accept", browser))
		r.Serve(failing(status, "x"))
		want := status
		if status < 400 || status > 599 {
			want = 500
		}
		if r.Status != want || r.Aborted != nil || !strings.Contains(r.Body.String(), fmt.Sprint("Error ", want)) {
			t.Errorf("%d: %d %v", status, r.Status, r.Aborted)
		}
	}
}

func TestHead(t *testing.T) {
	_, get := exchangetest.New("GET", "/")
	get.Serve(failing(404, "x"))
	_, head := exchangetest.New("HEAD", "/")
	head.Serve(failing(404, "x"))
	if head.Status != 404 || head.Body.Len() != 0 || head.Length != get.Length || fmt.Sprint(head.Fields) != fmt.Sprint(get.Fields) {
		t.Errorf("%d %d %v", head.Status, head.Length, head.Fields)
	}
}

func TestErrorAfterTheHeadBreaksOff(t *testing.T) {
	for _, f := range []func(*exchange.Exchange){func(x *exchange.Exchange) { reply.Error(x, 502, "target_gone") }, reply.Maintenance} {
		x, r := exchangetest.New("GET", "/")
		r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) {
			_, _ = x.Write([]byte("half"))
			f(x)
		}))
		if r.Aborted == nil || r.Status != 200 || r.Body.String() != "half" || x.Record.ErrorReason == "" {
			t.Errorf("%v %d %q %q", r.Aborted, r.Status, &r.Body, x.Record.ErrorReason)
		}
	}
}

func TestMaintenance(t *testing.T) {
	x, r := exchangetest.New("GET", "/", exchangetest.Field("Accept", browser))
	r.Serve(exchange.HandlerFunc(reply.Maintenance))
	if r.Status != 503 || r.Fields.Get("Retry-After") != "120" || !strings.Contains(r.Body.String(), "Down for maintenance") || x.Record.ErrorReason != "maintenance" {
		t.Errorf("%d %v %q", r.Status, r.Fields, x.Record.ErrorReason)
	}
	x, r = exchangetest.New("GET", "/")
	x.Response.Fields.Add("retry-after", "7")
	r.Serve(exchange.HandlerFunc(reply.Maintenance))
	if got := fmt.Sprint(r.Fields); strings.Contains(got, "120") || !strings.Contains(got, "7") {
		t.Error(got)
	}
}

func TestFixed(t *testing.T) {
	_, r := exchangetest.New("GET", "/")
	r.Serve(reply.Fixed(200, "a/b\r\nX-Evil: 1", "hi"))
	if r.Status != 200 || r.Body.String() != "hi" || r.Length != 2 || strings.Contains(fmt.Sprint(r.Fields), "Evil") {
		t.Errorf("%d %v", r.Status, r.Fields)
	}
	_, r = exchangetest.New("GET", "/")
	r.Serve(reply.Fixed(304, "a/b", "hi"))
	if r.Status != 304 || r.Fields.Has("Content-Type") || r.Body.Len() != 0 || r.Aborted != nil {
		t.Errorf("%d %v %v", r.Status, r.Fields, r.Aborted)
	}
	_, r = exchangetest.New("GET", "/")
	r.Serve(reply.Fixed(200, "", ""))
	if r.Length != 0 || r.Aborted != nil {
		t.Errorf("%d %v", r.Length, r.Aborted)
	}
}

func TestRedirect(t *testing.T) {
	for to, want := range map[string]string{
		"https://a.b/c?d=%20#e":         "https://a.b/c?d=%20#e",
		"/a b\r\nSet-Cookie: x=1":       "/a%20b%0D%0ASet-Cookie:%20x=1",
		`/\evil.com`:                    "/%5Cevil.com",
		"https://a.b/ö\"<>":             "https://a.b/%C3%B6%22%3C%3E",
		"https://[2001:db8::1]/a'()*!$": "https://[2001:db8::1]/a'()*!$",
	} {
		_, r := exchangetest.New("GET", "/")
		r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) { reply.Redirect(x, to, 307) }))
		if r.Status != 307 || r.Length != 0 || r.Fields.Get("Location") != want || len(r.Fields) != 1 {
			t.Errorf("%q: %d %v", to, r.Status, r.Fields)
		}
	}
}

// FuzzRedirect looks for a location that gets out of its field, or is changed without need.
func FuzzRedirect(f *testing.F) {
	f.Add("https://a.b/c?d#e")
	f.Add("/\r\nX: y")
	f.Add("\x00\xff\\{}")
	f.Fuzz(func(t *testing.T, to string) {
		_, r := exchangetest.New("GET", "/")
		r.Serve(exchange.HandlerFunc(func(x *exchange.Exchange) { reply.Redirect(x, to, 302) }))
		location := r.Fields.Get("Location")
		if strings.ContainsFunc(location, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }) {
			t.Errorf("%q became %q", to, location)
		}
		clean := !strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", c) })
		if clean && location != to {
			t.Errorf("%q became %q", to, location)
		}
	})
}

// FuzzError looks for a request that gets out of an answer: by its id into the page, or by Accept into a wrong one.
func FuzzError(f *testing.F) {
	f.Add("id", browser)
	f.Add("\"},{</code>\r\n", "text/html;q=0.0001,*/*;q=")
	f.Fuzz(func(t *testing.T, id, accept string) {
		x, r := exchangetest.New("GET", "/", exchangetest.Field("Accept", accept))
		x.ID = id
		r.Serve(failing(400, "x"))
		if r.Length != int64(r.Body.Len()) || r.Aborted != nil {
			t.Fatalf("%d of %d bytes", r.Body.Len(), r.Length)
		}
		if r.Fields.Get("Content-Type") == "application/problem+json" {
			if !json.Valid(r.Body.Bytes()) {
				t.Errorf("%s", &r.Body)
			}
			return
		}
		_, shown, _ := strings.Cut(r.Body.String(), "<code>")
		shown, rest, _ := strings.Cut(shown, "</code>")
		if strings.ContainsAny(shown, "<>\"'\r\n\x00") || bytes.Count([]byte(rest), []byte("<code>")) > 0 {
			t.Errorf("%q in the page", shown)
		}
	})
}
