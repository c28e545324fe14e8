package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// An exception is a recorded request that is answered otherwise, and why.
type exception struct {
	reason    string
	as        string                 // who has to ask to get the recorded answer; anybody else gets 403
	unordered bool                   // it is as recorded, but for the order of members of objects
	status    int                    // of the answer; 0: not another one, or see as
	instead   func(*world, recorded) // what is done instead
}

var exceptions = map[string]exception{
	"setup | draft-only article":      {reason: drafts, as: "alice"},
	"status | draft":                  {reason: drafts, as: "alice"},
	"status | publishedAt null draft": {reason: drafts, as: "alice"},
	"update | draft changed":          {reason: drafts, as: "alice"},

	"filter | $contains case":   {reason: "$contains tells upper from lower case, as documented; Strapi does so on some databases", status: http.StatusOK},
	"filter | $startsWith case": {reason: "$startsWith tells upper from lower case, as documented; Strapi does so on some databases", status: http.StatusOK},
	"filter | type mismatch":    {reason: ours, status: http.StatusBadRequest},
	"filter | filters array":    {reason: ours, status: http.StatusBadRequest},
	"fields | empty":            {reason: ours, status: http.StatusBadRequest},
	"misc | favicon":            {reason: "what is not there is not found", status: http.StatusNotFound},
	"misc | root":               {reason: "there is no admin panel to be redirected to", status: http.StatusNotFound},

	"sort | documentId":             {reason: "document ids are other ones, and so is their order", status: http.StatusOK},
	"create | integer huge":         {reason: "whole numbers are kept exactly: Strapi makes 9007199254740992 of 9007199254740993", status: http.StatusCreated},
	"create | tags unknown numeric": {reason: "an object that was sent comes back with its members in another order", unordered: true},

	"users | role 1 full":      {reason: plugins, status: http.StatusOK},
	"users | permissions full": {reason: plugins, status: http.StatusOK},

	"auth | the mail that forgot-password sends": {reason: "it is a mail, not an answer", instead: (*world).forgotten},
	"auth | old JWT after change":                {reason: "a change of the password ends all sessions", status: http.StatusUnauthorized},
	"auth | GET public list with noid":           {reason: "nobody can make a token with a good signature that names nobody", instead: func(*world, recorded) {}},
}

const (
	drafts  = "drafts are shown to whom may change them, and not to everybody"
	plugins = "there are no permissions of the plugins content-type-builder, email and i18n, which are none here"
	ours    = "a request that can't be meant is the client's mistake (400), not the server's (500)"
)

// paths are those of requests that name a number which is another one here.
var paths = map[string]string{
	"users | delete full": "/api/users/6", // one more user was made, and removed
}

// preparations do what was done between two recorded requests and is not in the record.
var preparations = map[string]func(*world){
	"update | duplicate title": func(w *world) { w.docs["122"] = w.create("article", `{"title":"another one"}`) },
	"auth | GET public list with expjwt": func(w *world) {
		w.tokens["expjwt"] = w.expired()
		w.tokens["badsig"] = w.tokens["alice"][:len(w.tokens["alice"])-6] + "AAAAAA"
		w.tokens["nouser"], w.tokens["carol"] = w.loggedIn("gone"), w.loggedIn("carol")
		w.must(w.api.Accounts.Remove(w.ctx(), "gone"))
		w.must(w.api.Accounts.Block(w.ctx(), "carol", true))
	},
	"auth | login past the limit 1": func(w *world) {
		for range 20 {
			if got := w.login("alice", "nope"); got.Code == http.StatusTooManyRequests {
				return
			}
		}
	},
	"auth | Bearer empty": func(w *world) { w.published(121) },
	"users | delete full": func(w *world) {
		var rename recorded
		rename.Req.Method, rename.Req.Path, rename.Req.As = http.MethodPut, "/api/users/6", "full"
		rename.Req.Headers = map[string]string{"Content-Type": "application/json"}
		rename.Req.Body = json.RawMessage(`{"username":"adx<run>"}`)
		w.send(rename)
	},
	"auth | API token ro: list": func(w *world) { w.published(122) },
	"auth | API token expired: list": func(w *world) {
		token, err := w.api.Accounts.CreateToken(w.ctx(), "expired", "full-access", nil, time.Now().Add(time.Millisecond))
		w.must(err)
		w.tokens["expired"] = token
		<-time.After(2 * time.Millisecond)
	},
}

// expired is a token whose time is over, of another process on the same store.
func (w *world) expired() string {
	c := lab(w.t)
	c.Sessions.Access = -time.Hour
	other := &world{t: w.t, api: running(w.t, w.api.Store, c, w), tokens: map[string]string{}}
	return other.loggedIn("bob")
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) login(name, password string) *httptest.ResponseRecorder {
	var login recorded
	login.Req.Method, login.Req.Path = http.MethodPost, "/api/auth/local"
	login.Req.Headers = map[string]string{"Content-Type": "application/json"}
	login.Req.Body = json.RawMessage(fmt.Sprintf(`{"identifier":%q,"password":%q}`, name, password))
	return w.send(login)
}

// loggedIn is the token of a user, who is made if there is none.
func (w *world) loggedIn(name string) string {
	_, _ = w.api.Accounts.AddUser(w.ctx(), name, name+"@lab.test", "Passw0rd-"+name, "")
	var answer struct{ JWT string }
	got := w.login(name, "Passw0rd-"+name)
	if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil || answer.JWT == "" {
		w.t.Fatalf("%s can't log in: %d %s", name, got.Code, got.Body)
	}
	return answer.JWT
}

// forgotten has u<run> forget a password.
func (w *world) forgotten(recorded) {
	var forgot recorded
	forgot.Req.Method, forgot.Req.Path = http.MethodPost, "/api/auth/forgot-password"
	forgot.Req.Headers = map[string]string{"Content-Type": "application/json"}
	forgot.Req.Body = json.RawMessage(`{"email":"u<run>@lab.test"}`)
	if got := w.send(forgot); strings.TrimSpace(got.Body.String()) != `{"ok":true}` {
		w.t.Errorf("forgot-password: %s", got.Body)
	}
	w.mailed()
}
