package visit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// Page is what a visitor is shown: a title, a text, and maybe a form of one button that posts to the same URL.
type Page struct {
	Status     int
	Title      string
	Text       string
	Button     string        // what is on it, "" for none
	Name       string        // of the field that the button sends, with Value
	Value      string        //
	RetryAfter time.Duration // 0 to say nothing
}

const style = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.6rem 1.4rem;min-height:44px}"

var layout = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>` + style + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .Button}}<form method="post"><button name="{{$.Name}}" value="{{$.Value}}">{{.}}</button></form>
{{end}}</main>
</body>
</html>
`))

// policy allows what the page has, and nothing else: no script, no frame around it, forms to here alone.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

// answer answers with a page, or for programs with {"message": …}. The URL, which may hold a token, is told to nobody and kept nowhere.
func (v *Visit) answer(p Page) (events.APIGatewayV2HTTPResponse, error) {
	answer := events.APIGatewayV2HTTPResponse{StatusCode: p.Status, Headers: map[string]string{
		"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff", "x-robots-tag": "noindex",
	}}
	if p.Status == http.StatusMethodNotAllowed {
		answer.Headers["allow"] = "GET, HEAD, POST"
	}
	if p.RetryAfter > 0 {
		answer.Headers["retry-after"] = strconv.Itoa(int(p.RetryAfter.Seconds()))
	}
	if v.wantsJSON() {
		body, err := json.Marshal(map[string]string{"message": p.Text})
		answer.Headers["content-type"], answer.Body = "application/json", string(body)
		return answer, err
	}
	var body bytes.Buffer
	err := layout.Execute(&body, p)
	answer.Headers["content-type"], answer.Body = "text/html; charset=utf-8", body.String()
	answer.Headers["content-security-policy"] = policy()
	return answer, err
}

// Serve answers an event with the page of the visit. An error of page that is a [*Fault] is the visitor's; after any other it may succeed when it is tried again, which a 503 says.
// An event that is no request is an error.
func Serve(ctx context.Context, event json.RawMessage, log *slog.Logger, page func(context.Context, *Visit) (Page, error)) (any, error) {
	v, err := Read(event)
	var p Page
	if err == nil {
		p, err = page(ctx, v)
	} else if _, ok := errors.AsType[*Fault](err); !ok {
		return nil, err
	}
	if fault, ok := errors.AsType[*Fault](err); ok {
		p = Page{Status: fault.Status, Title: "That did not work", Text: fault.Message}
	} else if err != nil {
		log.Error("it has to be tried again", "path", v.Path, "error", err)
		p = Page{Status: http.StatusServiceUnavailable, RetryAfter: time.Minute, Title: "Please try again", Text: "This can't be done at the moment. Please try again in a minute."}
	}
	return v.answer(p)
}
