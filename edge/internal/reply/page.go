package reply

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A page is one error in the two forms that visitors take.
type page struct {
	html, problem form
}

// A form is an answer, its body cut in two where the request id goes.
type form struct {
	fields        exchange.Fields
	before, after []byte
	escape        func(to []byte, id string) []byte
}

// append writes the body.
func (f *form) append(to []byte, id string) []byte {
	return append(f.escape(append(to, f.before...), id), f.after...)
}

// A book has all the pages, so that to send one is to copy it.
type book struct {
	errors      [200]page // from status 400
	maintenance page
	paper       sync.Pool // of *[]byte, to write a body on
}

// pages are made for the first error: most commands of the program meet none.
var pages = sync.OnceValue(func() *book {
	b := new(book)
	for i := range b.errors {
		status := 400 + i
		b.errors[i] = newPage(status, title(status), detail(status))
	}
	b.maintenance = newPage(503, "Down for maintenance", "This site is being worked on and will be back soon. Please try again in a few minutes.")
	b.paper.New = func() any {
		sheet := make([]byte, 0, 4<<10) // more than a page needs
		return &sheet
	}
	return b
})

func title(status int) string {
	if t := http.StatusText(status); t != "" {
		return t
	}
	return "Error " + strconv.Itoa(status)
}

// detail says what the visitor can do about it, and nothing of what happened inside.
func detail(status int) string {
	switch status {
	case 400:
		return "The request could not be understood. Check the address and try again."
	case 401:
		return "You need to sign in to see this."
	case 403:
		return "You are not allowed to see this."
	case 404:
		return "There is nothing at this address. Check it for a typing mistake."
	case 405:
		return "This address does not take that kind of request."
	case 408:
		return "The request took too long to arrive. Please try again."
	case 411:
		return "The request has to say how long its body is."
	case 413:
		return "What you sent is larger than this address takes."
	case 414:
		return "The address is longer than this server takes."
	case 417:
		return "The request expects something that this server does not do."
	case 421:
		return "This connection is not for the host that was asked for."
	case 426:
		return "This address needs another protocol."
	case 429:
		return "Too many requests came from your network. Please wait a little and try again."
	case 431:
		return "The request's header is larger than this server takes. Clearing the site's cookies may help."
	case 500:
		return "Something went wrong on our side. Please try again later."
	case 501:
		return "This server does not do what the request asks for."
	case 502:
		return "The application did not answer properly. Please try again in a moment."
	case 503:
		return "The service is not available right now. Please try again in a moment."
	case 504:
		return "The application took too long to answer. Please try again in a moment."
	case 505:
		return "This server does not speak that version of HTTP."
	}
	if status < 500 {
		return "The request could not be answered."
	}
	return "Something went wrong on our side. Please try again later."
}

// idMark stands for the request id while a page is written. It needs no escaping in either form.
const idMark = "REQUEST-ID-HERE"

func newPage(status int, title, detail string) page {
	problem, err := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{"about:blank", title, status, detail, idMark})
	if err != nil {
		panic(err) // strings and a number always can be
	}
	text := strings.NewReplacer(
		"{style}", pageStyle,
		"{status}", strconv.Itoa(status),
		"{title}", html.EscapeString(title),
		"{detail}", html.EscapeString(detail),
		"{id}", idMark,
	).Replace(pageText)
	return page{
		html:    newForm("text/html; charset=utf-8", []byte(text), escapeHTML),
		problem: newForm("application/problem+json", append(problem, '\n'), escapeJSON),
	}
}

func newForm(mediaType string, body []byte, escape func([]byte, string) []byte) form {
	before, after, _ := bytes.Cut(body, []byte(idMark))
	return form{before: before, after: after, escape: escape, fields: exchange.Fields{
		{Name: "Content-Type", Value: mediaType},
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
		{Name: "Content-Security-Policy", Value: pagePolicy},
	}}
}

func escapeHTML(to []byte, id string) []byte {
	for i := range len(id) {
		switch c := id[i]; c {
		case '<', '>', '&', '"', '\'':
			to = append(to, "&#"...)
			to = strconv.AppendInt(to, int64(c), 10)
			to = append(to, ';')
		default:
			to = appendPrintable(to, c)
		}
	}
	return to
}

func escapeJSON(to []byte, id string) []byte {
	for i := range len(id) {
		if c := id[i]; c == '"' || c == '\\' {
			to = append(to, '\\')
		}
		to = appendPrintable(to, id[i])
	}
	return to
}

func appendPrintable(to []byte, c byte) []byte {
	if c < ' ' || c >= 0x7f {
		c = '?'
	}
	return append(to, c)
}

// pageStyle is small and needs nothing from elsewhere. Its colours keep a contrast of at least 7:1 (WCAG 2.2, AAA).
const pageStyle = `:root{color-scheme:light dark;--back:#fff;--text:#1c1f23;--quiet:#4a5058}` +
	`@media(prefers-color-scheme:dark){:root{--back:#16181b;--text:#f0f2f4;--quiet:#b9c0c8}}` +
	`body{margin:0;background:var(--back);color:var(--text);font:1rem/1.6 system-ui,sans-serif}` +
	`main{box-sizing:border-box;min-height:100vh;max-width:36rem;margin:auto;padding:2rem 1.5rem;display:flex;flex-direction:column;justify-content:center}` +
	`p{margin:0 0 1rem}h1{margin:0 0 1rem;font-size:1.75rem;line-height:1.2}.quiet{color:var(--quiet);font-size:.875rem}` +
	`code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}`

// pagePolicy lets a page do nothing but show itself in its own style.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

const pageText = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{status} {title}</title>
<style>{style}</style>
</head>
<body>
<main>
<p class="quiet">Error {status}</p>
<h1>{title}</h1>
<p>{detail}</p>
<p class="quiet">Request <code>{id}</code></p>
</main>
</body>
</html>
`
