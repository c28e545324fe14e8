package forms

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
)

const (
	defaultMaxAge = 24 * time.Hour  // of tokens, where the form does not ask for one of every page
	retryAfter    = 5 * time.Second // what is said of what is away
	maxKeyHeader  = 128             // bytes of an Idempotency-Key
)

// ServeHTTP answers one request.
func (f *Forms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	form, below := f.find(r.URL.Path)
	if form == nil {
		f.refuse(w, r, nil, &refusal{status: http.StatusNotFound, code: string(fault.NotFound), detail: "There is no form at this address."})
		return
	}
	allow := "GET, HEAD, OPTIONS"
	if below == "" {
		allow = "POST, OPTIONS"
	}
	if r.Method == http.MethodOptions {
		form.origins.preflight(w, r, allow)
		return
	}
	form.origins.mark(w.Header(), r.Header.Get("Origin"))
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case below == "" && r.Method == http.MethodPost:
		f.post(w, r, form)
	case below == "token" && get:
		f.giveToken(w, r, form)
	case below == "thanks" && get:
		f.pages.send(w, form.policy, http.StatusOK, "Thank you", paragraph("What you sent has arrived."))
	default:
		w.Header().Set("Allow", allow)
		f.refuse(w, r, form, &refusal{status: http.StatusMethodNotAllowed, outcome: Malformed, code: "method", detail: "This address does not take that kind of request."})
	}
}

// find returns the form that a path names, and "token" or "thanks" below it.
func (f *Forms) find(path string) (found *form, below string) {
	forms := *f.forms.Load()
	rest, last := cutLast(path)
	if last == "token" || last == "thanks" {
		if _, name := cutLast(rest); forms[name] != nil {
			return forms[name], last
		}
	}
	return forms[last], ""
}

func cutLast(path string) (before, last string) {
	slash := strings.LastIndexByte(path, '/')
	return path[:max(slash, 0)], path[slash+1:]
}

// clientOf is who asks; the zero address is nobody known.
func clientOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// giveToken answers GET …/NAME/token.
func (f *Forms) giveToken(w http.ResponseWriter, r *http.Request, form *form) {
	now := time.Now()
	if wait := form.fetches.take(clientOf(r), now); wait > 0 {
		f.refuse(w, r, form, limited(wait))
		return
	}
	if r.Header.Get("Origin") != "" && form.origins.from(r) == foreign {
		f.refuse(w, r, form, errForeign)
		return
	}
	given := struct {
		Token string  `json:"token"`
		Field string  `json:"field"`
		Wait  float64 `json:"wait"` // seconds before which it is too new: browsers that fill forms in are faster than people
	}{Token: f.tokens.issue(form.name, fetched, now), Field: tokenField}
	if form.Token != nil {
		given.Wait = form.Token.MinFill.Seconds()
	}
	sendJSON(w, http.StatusOK, "application/json", given)
}

// A visit is one POST.
type visit struct {
	form      *form
	w         http.ResponseWriter
	r         *http.Request
	client    netip.Addr
	requestID string
	programs  bool // the answer is for a program: JSON
	sent      *sent
	token     string // that was sent, if it is good
	honeypot  string // what was sent in it
	captcha   string // its token
	key       string // the idempotency key; "": none
	ofToken   bool   // key is the token's nonce
	digest    string
	reasons   []string // why it looks like spam
}

func (v *visit) clientText() string {
	if !v.client.IsValid() {
		return ""
	}
	return v.client.String()
}

// post answers POST …/NAME.
func (f *Forms) post(w http.ResponseWriter, r *http.Request, form *form) {
	client := clientOf(r)
	if wait := form.limits.take(client, time.Now()); wait > 0 {
		f.refuse(w, r, form, limited(wait))
		return
	}
	if !form.limits.enter(client) {
		f.refuse(w, r, form, limited(time.Second))
		return
	}
	defer form.limits.leave(client)
	v := &visit{form: form, w: w, r: r, client: client, requestID: r.Header.Get("X-Request-Id"), programs: forPrograms(r)}
	if err := f.submit(v); err != nil {
		f.answerError(v, err)
	}
}

// submit takes what was sent all the way, or returns why not.
func (f *Forms) submit(v *visit) error {
	from, err := f.read(v)
	if err != nil {
		return err
	}
	if err := f.checkToken(v, from, time.Now()); err != nil {
		return err
	}
	if wrong := v.form.check(v.sent); len(wrong) > 0 {
		return &mistakes{wrong}
	}
	v.digest = v.sent.digest()
	doubt, err := f.person(v.r.Context(), v)
	if err != nil {
		return err
	}
	if doubt != "" {
		v.reasons = append(v.reasons, doubt)
	}
	if v.honeypot != "" {
		v.reasons = append(v.reasons, reasonHoneypot)
	}
	v.reasons = append(v.reasons, v.form.flags.look(v.sent)...)
	if v.form.Sync && len(v.reasons) == 0 {
		return f.pass(v)
	}
	return f.keep(v)
}

// read judges the head, and reads the body only then. What only screening needs is taken out of what was sent.
func (f *Forms) read(v *visit) (from provenance, err error) {
	media, err := readMediaType(v.r.Header)
	if err != nil {
		return from, err
	}
	if from = v.form.origins.from(v.r); from == foreign {
		return from, errForeign
	}
	if v.key, err = readKey(v.r.Header); err != nil {
		return from, err
	}
	body, err := readBody(v.w, v.r, int64(v.form.Limits.Body))
	if err != nil {
		return from, err
	}
	if v.sent, err = decode(media, body); err != nil {
		return from, err
	}
	if err := v.form.checkNames(v.sent); err != nil {
		return from, err
	}
	v.token = v.sent.take(tokenField)
	v.honeypot = v.sent.take(v.form.Honeypot)
	if v.form.captcha != nil {
		v.captcha = v.sent.take(v.form.captcha.Field())
	}
	return from, nil
}

// checkToken judges the page's token, where one is asked for: of every page, or of who does not say where he comes from. A good one that
// nobody asked for is as good a key.
func (f *Forms) checkToken(v *visit, from provenance, now time.Time) error {
	maxAge, minFill := defaultMaxAge, time.Duration(0)
	if asked := v.form.Token; asked != nil {
		maxAge, minFill = asked.MaxAge, asked.MinFill
	}
	t, good := f.tokens.read(v.token, v.form.name, now, maxAge)
	if !good {
		v.token = ""
		if v.form.Token != nil || from == unsaid || from == own {
			return &oneMoreStep{}
		}
		return nil
	}
	if now.Sub(t.issued) < minFill {
		if t.kind == onPage && !v.programs {
			return &oneMoreStep{again: true}
		}
		v.reasons = append(v.reasons, reasonTooFast)
	}
	if v.key == "" {
		v.key, v.ofToken = "token "+hex.EncodeToString(t.nonce[:]), true
	}
	return nil
}

// readKey reads the Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a string in quotes, or without.
func readKey(h http.Header) (string, error) {
	keys := h.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(keys) > 1 || key == "" || len(key) > maxKeyHeader || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
		return "", invalid("Idempotency-Key is one text of at most %d characters, without spaces, such as a UUID.", maxKeyHeader)
	}
	return "key " + key, nil
}

// answerError answers for what was not taken.
func (f *Forms) answerError(v *visit, err error) {
	if wrong, ok := errors.AsType[*mistakes](err); ok {
		v.form.counts.add(Invalid)
		note(v.w, "fields")
		f.showMistakes(v, wrong.fields)
		return
	}
	if step, ok := errors.AsType[*oneMoreStep](err); ok {
		if !v.programs {
			v.form.counts.add(Tokenless)
			note(v.w, "token")
			f.showButton(v, step.again)
			return
		}
		err = &refusal{status: http.StatusForbidden, outcome: Tokenless, code: "token",
			detail: "Fetch a token from this address with /token at its end, and send it in the field " + tokenField + "."}
	}
	known, ok := errors.AsType[*refusal](err)
	if !ok {
		known = &refusal{status: http.StatusInternalServerError, outcome: Failed, code: "internal", detail: "Something went wrong on our side. Please try again later."}
		if v.r.Context().Err() == nil || !errors.Is(err, context.Canceled) {
			f.Log.Error("a form could not be taken", "form", v.form.name, "request_id", v.requestID, "err", err)
		}
	}
	f.refuse(v.w, v.r, v.form, known)
}
