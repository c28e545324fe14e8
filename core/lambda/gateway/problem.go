package gateway

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// problem is a problem document (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
}

// page has no style and no script: its policy lets it do nothing but be read.
const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex"><title>%[1]d %[2]s</title></head>
<body><main><h1>%[2]s</h1><p>%[3]s</p><p>Request <code>%[4]s</code></p></main></body>
</html>
`

// writeProblem answers with an error: a page for browsers, which ask for text/html by name, a problem document for programs. retry is said
// for what may work then, in full seconds and at least one. kind is the problem's code, and what the access log says.
func writeProblem(w http.ResponseWriter, r *http.Request, status int, kind string, retry time.Duration) {
	if noting, ok := w.(interface{ ErrorReason(word string) }); ok {
		noting.ErrorReason(kind)
	}
	title, id := http.StatusText(status), r.Header.Get("X-Request-Id")
	var body []byte
	media := "application/problem+json"
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		media = "text/html; charset=utf-8"
		body = fmt.Appendf(nil, page, status, html.EscapeString(title), advice(status), html.EscapeString(id))
	} else {
		body, _ = json.Marshal(problem{Type: "about:blank", Title: title, Status: status, Detail: advice(status), Code: kind, RequestID: id}) // strings and a number always can be
		body = append(body, '\n')
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.FormatInt(max(1, int64((retry+time.Second-1)/time.Second)), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // what is not ours in it is escaped; a visitor who is gone is nobody's error
}

func advice(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The request could not be read to its end. Please try again."
	case http.StatusRequestEntityTooLarge:
		return "What you sent is larger than this address takes."
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "The service is busy right now. Please try again in a moment."
	case http.StatusGatewayTimeout:
		return "The application took too long to answer. Please try again in a moment."
	}
	return "The application did not answer properly. Please try again in a moment."
}
