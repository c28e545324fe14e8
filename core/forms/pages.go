package forms

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// pages are the pages that people see. They need no script, are read well by screen readers (WCAG 2.2, AA), and show what visitors have sent only as
// text, and their policy lets no page do anything but show itself and send its form.
type pages struct {
	style   string // its hash, as the policy names it
	base    string // the policy of pages that send nothing elsewhere
	limited []byte // what floods get: written once
}

// A page is one with a form.
type page struct {
	Multipart bool          // the form has files
	Hidden    []hiddenInput // carried along
	Inputs    []input
	Wrong     []wrongInput
}

// A hiddenInput carries one value along.
type hiddenInput struct{ Name, Value string }

// A wrongInput is one line of the summary of what is wrong.
type wrongInput struct{ ID, Label, Reason string }

func newPages() *pages {
	sum := sha256.Sum256([]byte(pageStyle))
	p := &pages{style: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}
	p.base = p.policyWith("'self'")
	p.limited = document(http.StatusText(http.StatusTooManyRequests), paragraph(limitedDetail))
	return p
}

// policy is the Content-Security-Policy of a form's pages. Browsers hold form-action against where a sent form is redirected to as well.
func (p *pages) policy(redirect string) string {
	if origin, elsewhere := originOf(redirect); elsewhere {
		return p.policyWith("'self' " + strings.NewReplacer(";", "", ",", "").Replace(origin))
	}
	return p.base
}

func (p *pages) policyWith(actions string) string {
	return "default-src 'none'; style-src " + p.style + "; form-action " + actions + "; base-uri 'none'; frame-ancestors 'none'"
}

func (p *pages) send(w http.ResponseWriter, policy string, status int, title string, content ...*html.Node) {
	p.sendBytes(w, policy, status, document(title, content...))
}

func (p *pages) sendBytes(w http.ResponseWriter, policy string, status int, body []byte) {
	h := w.Header()
	h["Content-Security-Policy"] = []string{policy}
	h["Referrer-Policy"] = []string{"same-origin"} // with no-referrer, browsers would send Origin: null with the form
	send(w, status, "text/html; charset=utf-8", body)
}

// showButton shows one button that sends once more what was sent, with a token. It is all that visitors without JavaScript need: a page that can't fetch a token
// is told apart from a program that doesn't by the second request and the time before it. Files can't be carried: they are chosen again.
func (f *Forms) showButton(v *visit, again bool) {
	data := page{Hidden: f.carried(v)}
	for n, i := range v.sent.items {
		if i.file == nil {
			data.Hidden = append(data.Hidden, hiddenInput{i.name, i.text})
			continue
		}
		data.Multipart = true
		r := v.form.rule(i.name)
		data.Inputs = append(data.Inputs, input{ID: inputID(n), Name: i.name, Label: r.label(), Type: "file", Accept: strings.Join(r.Accept, ",")})
	}
	say := paragraph("Press the button to send what you have filled in. This keeps programs from sending the form.")
	if again {
		say = element("p", with("role", "alert"), text("That was very quick. Please wait a few seconds, and press the button again."))
	}
	var files []*html.Node
	if len(data.Inputs) > 0 {
		files = append(files, paragraph("Files can’t be carried along. Please choose them once more, or go back."))
	}
	f.pages.send(v.w, v.form.policy, http.StatusOK, "One more step", say, data.form(files...))
}

// showMistakes says what is wrong: to programs as a list, to people with the form as they sent it.
func (f *Forms) showMistakes(v *visit, wrong []fieldError) {
	if v.programs {
		sendProblem(v.w, v.r, problem{Status: http.StatusUnprocessableEntity, Detail: "Some fields are not as they have to be.", Code: "fields", Errors: wrong})
		return
	}
	reasons := make(map[string]string, len(wrong))
	for _, w := range wrong {
		reasons[w.Field] = w.Reason
	}
	data := page{Hidden: f.carried(v)}
	shown := make(map[string]bool)
	for _, i := range v.sent.items {
		if _, configured := v.form.Fields[i.name]; !configured {
			if i.file == nil {
				data.Hidden = append(data.Hidden, hiddenInput{i.name, i.text})
			}
		} else if !shown[i.name] {
			shown[i.name] = true
			data.add(v.form.rule(i.name), v.sent, reasons[i.name])
		}
	}
	for n := range v.form.rules {
		if r := &v.form.rules[n]; !shown[r.name] {
			data.add(r, v.sent, reasons[r.name])
		}
	}
	f.pages.send(v.w, v.form.policy, http.StatusUnprocessableEntity, "Error: please check the form", data.summary(), data.form())
}

// carried are what screening took out, and a token: the one that was sent if it is good, so that its age goes on.
func (f *Forms) carried(v *visit) []hiddenInput {
	if v.token == "" {
		v.token = f.tokens.issue(v.form.name, onPage, time.Now())
	}
	hidden := []hiddenInput{{tokenField, v.token}}
	if v.honeypot != "" {
		hidden = append(hidden, hiddenInput{v.form.Honeypot, v.honeypot})
	}
	if v.captcha != "" {
		hidden = append(hidden, hiddenInput{v.form.captcha.Field(), v.captcha})
	}
	return hidden
}

// rule returns the rule of a field; one that takes anything if there is none.
func (f *form) rule(name string) *rule {
	for n := range f.rules {
		if f.rules[n].name == name {
			return &f.rules[n]
		}
	}
	return &rule{name: name}
}
