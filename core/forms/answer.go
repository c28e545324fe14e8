package forms

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// A refusal is why something is not taken, for who sent it.
type refusal struct {
	status  int
	outcome Outcome
	code    string // for programs
	detail  string // for people
	after   time.Duration
}

func (r *refusal) Error() string { return r.detail }

// mistakes are fields that are not as they have to be.
type mistakes struct{ fields []fieldError }

func (m *mistakes) Error() string { return "fields are not as they have to be" }

// oneMoreStep asks for a token of the page.
type oneMoreStep struct{ again bool } // again: there is a good one, which is too new

func (*oneMoreStep) Error() string { return "a token of the page is needed" }

var errForeign = &refusal{status: http.StatusForbidden, outcome: Foreign, code: "origin", detail: "This form can't be sent from the page that you come from."}

func limited(wait time.Duration) *refusal {
	return &refusal{status: http.StatusTooManyRequests, outcome: Limited, code: "too_many", after: wait, detail: limitedDetail}
}

const limitedDetail = "This form was sent too often from your network. Please wait a little and try again."

// A problem is a problem document (RFC 9457).
type problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Code      string       `json:"code,omitempty"`
	Errors    []fieldError `json:"errors,omitempty"`
	RequestID string       `json:"request_id"`
}

func sendProblem(w http.ResponseWriter, r *http.Request, p problem) {
	p.Type, p.Title, p.RequestID = "about:blank", http.StatusText(p.Status), r.Header.Get("X-Request-Id")
	sendJSON(w, p.Status, "application/problem+json", p)
}

func sendJSON(w http.ResponseWriter, status int, media string, v any) {
	body, _ := json.Marshal(v) // texts and numbers always can be
	send(w, status, media, append(body, '\n'))
}

// send answers with a body that is for this visitor alone.
func send(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{media}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h.Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a visitor who is gone is nobody's error
}

// note writes into the access log, as far as there is one, why something is not taken.
func note(w http.ResponseWriter, word string) {
	if noting, ok := w.(interface{ ErrorReason(word string) }); ok {
		noting.ErrorReason(word)
	}
}

// refuse answers for what is not taken: a problem document for programs, a page for people. form is nil if there is none.
func (f *Forms) refuse(w http.ResponseWriter, r *http.Request, form *form, why *refusal) {
	note(w, why.code)
	policy := f.pages.policy("")
	if form != nil {
		form.counts.add(why.outcome)
		policy = form.policy
	}
	if why.after > 0 {
		w.Header()["Retry-After"] = []string{strconv.FormatInt(int64((why.after+time.Second-1)/time.Second), 10)}
	}
	switch {
	case forPrograms(r):
		sendProblem(w, r, problem{Status: why.status, Detail: why.detail, Code: why.code})
	case why.outcome == Limited && form != nil:
		f.pages.sendBytes(w, policy, why.status, f.pages.limited)
	default:
		content := []*html.Node{paragraph(why.detail)}
		if id := r.Header.Get("X-Request-Id"); id != "" {
			content = append(content, element("p", with("class", "quiet"), text("Request "), element("code", nil, text(id))))
		}
		f.pages.send(w, policy, why.status, http.StatusText(why.status), content...)
	}
}

// thank answers for what was taken. The page that browsers go to is named from the form's own address, which a rule may have rewritten.
func (v *visit) thank(id string) {
	if v.programs {
		sendJSON(v.w, http.StatusOK, "application/json", struct {
			OK bool   `json:"ok"`
			ID string `json:"id"`
		}{true, id})
		return
	}
	where := v.form.Redirect
	if where == "" {
		where = "./" + v.form.name + "/thanks"
	}
	v.w.Header().Set("Location", where)
	send(v.w, http.StatusSeeOther, "text/plain; charset=utf-8", nil)
}

// forPrograms reports whether the answer to r is JSON: r is JSON itself, or its Accept prefers it to pages (RFC 9110, section 12.5.1; of
// equal weights the media type that is named more exactly).
func forPrograms(r *http.Request) bool {
	if media := r.Header.Get("Content-Type"); len(media) >= len(object) && strings.EqualFold(media[:len(object)], object) {
		return true
	}
	var data, html preference
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(part, ";")
			switch q := weight(params); strings.ToLower(strings.TrimSpace(media)) {
			case object, "application/problem+json":
				data.take(q, 3)
			case "application/*":
				data.take(q, 2)
			case "text/html", "application/xhtml+xml":
				html.take(q, 3)
			case "text/*":
				html.take(q, 2)
			case "*/*":
				data.take(q, 1)
				html.take(q, 1)
			}
		}
	}
	return data.weight > html.weight || data.weight == html.weight && data.weight > 0 && data.exact > html.exact
}

// A preference is how much a media type is wanted, and how exactly it was named.
type preference struct {
	weight float64
	exact  int
}

func (p *preference) take(weight float64, exact int) {
	if exact > p.exact || exact == p.exact && weight > p.weight {
		p.weight, p.exact = weight, exact
	}
}

func weight(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
