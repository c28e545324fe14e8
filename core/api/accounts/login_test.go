package accounts

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/password"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestAUserLogsInByNameOrByAddressInAnyCase(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.add("alice", "")
		for _, identifier := range []string{"alice", "alice@lab.test", "ALICE@Lab.Test"} {
			a := d.want(d.send("POST /auth/local", "", `{"identifier":"`+identifier+`","password":"Passw0rd-alice"}`), http.StatusOK)
			user := a.json["user"].(map[string]any)
			if a.text("jwt") == "" || user["username"] != "alice" || user["email"] != "alice@lab.test" || user["id"] != 1.0 {
				t.Errorf("%s: %s", identifier, a.Body)
			}
			if strings.Contains(a.Body.String(), "refreshToken") {
				t.Errorf("a token to renew with, without refresh: %s", a.Body)
			}
			me := d.want(d.send("GET /users/me", a.text("jwt"), ""), http.StatusOK)
			if me.text("username") != "alice" || strings.Contains(me.Body.String(), "Passw0rd") || me.json["provider"] != "local" {
				t.Errorf("me is %s", me.Body)
			}
		}
		d.refused(d.send("POST /auth/local", "", `{"identifier":"Alice","password":"Passw0rd-alice"}`), 400, "Invalid identifier or password")
	})
}

func TestAStrangerIsToldNothing(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	d.enterAs("alice") // the decoy is made
	checks := func(body string) int64 {
		before := d.checks.n.Load()
		d.refused(d.send("POST /auth/local", "", body), 400, "Invalid identifier or password")
		return d.checks.n.Load() - before
	}
	known := checks(`{"identifier":"alice","password":"wrong"}`)
	for _, identifier := range []string{"nobody", "nobody@lab.test"} {
		if n := checks(`{"identifier":"` + identifier + `","password":"wrong"}`); n != known || n != 1 {
			t.Errorf("%d passwords were checked for %s, %d for a user", n, identifier, known)
		}
	}
	if _, err := d.s.Apply(patient(t), store.Delete{Collection: credentials}); err != nil {
		t.Fatal(err)
	}
	if n := checks(`{"identifier":"alice","password":"wrong"}`); n != 1 {
		t.Errorf("%d passwords were checked for a user without one", n)
	}
}

func TestWhoMayNotLogInIsToldOnlyWhenThePasswordIsRight(t *testing.T) {
	c := plain()
	d := memory(t, c)
	d.add("carol", "")
	if err := d.Block(patient(t), "carol", true); err != nil {
		t.Fatal(err)
	}
	d.refused(d.send("POST /auth/local", "", `{"identifier":"carol","password":"Passw0rd-carol"}`), 400, "Your account has been blocked by an administrator")
	d.refused(d.send("POST /auth/local", "", `{"identifier":"carol","password":"wrong"}`), 400, "Invalid identifier or password")
}

func TestATokenThatIsNotGoodIsRefusedEverywhere(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	jwt := d.enterAs("alice").text("jwt")
	parts := strings.Split(jwt, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
	for name, token := range map[string]string{
		"changed":      jwt[:len(jwt)-5] + "AAAAA",
		"unsigned":     none,
		"not a token":  "x.y.z",
		"another kind": otherwiseSigned(t, d, jwt),
		"no API token": "edge_nothing",
		"too long":     strings.Repeat("x", 10_000),
		"another key":  mustSign(t, memory(t, plain()), d, jwt),
	} {
		d.refused(d.send("POST /auth/forgot-password", token, `{"email":"a@b.test"}`), 401, "Missing or invalid credentials")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for _, field := range []string{"Bearer", "Bearer ", "Basic YTpi", "", "Digest x"} {
		d.refused(d.send("GET /users/me", "", "", "Authorization", field), 403, "Forbidden")
	}
	d.want(d.send("GET /users/me", "", "", "Authorization", "bearer "+jwt), http.StatusOK)
	d.refused(d.send("GET /users/me?access_token="+jwt, "", ""), 403, "Forbidden")
	d.refused(d.send("POST /auth/local", jwt, `{"identifier":"alice","password":"Passw0rd-alice"}`), 403, "Forbidden")
	d.later(30*24*time.Hour + time.Second)
	d.refused(d.send("GET /users/me", jwt, ""), 401, "Missing or invalid credentials")
}

// otherwiseSigned is a token that says what another one says, signed with the right key in another way.
func otherwiseSigned(t *testing.T, d *desk, text string) string {
	t.Helper()
	said, err := d.verify(patient(t), forAccess, text)
	if err != nil {
		t.Fatal(err)
	}
	other := jwt.NewWithClaims(jwt.SigningMethodHS384, said)
	other.Header["kid"] = said.key
	signed, err := other.SignedString(d.key(said.key).keys[forAccess])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// mustSign is a token that says what another one says, signed with another key.
func mustSign(t *testing.T, other, d *desk, jwt string) string {
	t.Helper()
	said, err := d.verify(patient(t), forAccess, jwt)
	if err != nil {
		t.Fatal(err)
	}
	other.Key = []byte(strings.Repeat("x", 32))
	if err := other.readKeys(patient(t)); err != nil {
		t.Fatal(err)
	}
	text, err := other.sign(forAccess, said, said.ExpiresAt.Time)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAUserWhoIsBlockedOrGoneIsOutAtOnce(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.add("alice", "")
		bob := d.add("bob", "")
		alice, jwt := d.enterAs("alice").text("jwt"), d.enterAs("bob").text("jwt")
		r := func() access.Caller { // as realtime has it
			req, _ := http.NewRequest(http.MethodGet, "/", nil)
			req.Header.Set("Authorization", "Bearer "+jwt)
			c, err := d.Authenticate(patient(t), req)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}()
		if !d.Valid(patient(t), r) {
			t.Error("a caller is not valid who has just asked")
		}
		if err := d.Block(patient(t), "alice", true); err != nil {
			t.Fatal(err)
		}
		d.refused(d.send("GET /users/me", alice, ""), 401, "Invalid credentials")
		if err := d.Block(patient(t), "alice", false); err != nil {
			t.Fatal(err)
		}
		d.refused(d.send("GET /users/me", alice, ""), 401, "Missing or invalid credentials")
		if err := d.Remove(patient(t), bob.DocumentID); err != nil {
			t.Fatal(err)
		}
		d.refused(d.send("GET /users/me", jwt, ""), 401, "Invalid credentials")
		if d.Valid(patient(t), r) {
			t.Error("a caller is valid who is gone")
		}
	})
}

func TestAChangedPasswordEndsAllSessions(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.add("alice", "")
		here, there := d.enterAs("alice").text("jwt"), d.enterAs("alice").text("jwt")
		change := func(current, password, again string) *answer {
			return d.send("POST /auth/change-password", here, `{"currentPassword":"`+current+`","password":"`+password+`","passwordConfirmation":"`+again+`"}`)
		}
		d.refused(change("wrong", "Secret456", "Secret456"), 400, "The provided current password is invalid")
		d.refused(change("Passw0rd-alice", "Passw0rd-alice", "Passw0rd-alice"), 400, "Your new password must be different than your current password")
		d.refused(change("Passw0rd-alice", "Secret456", "Secret457"), 400, "Passwords do not match")
		d.refused(change("Passw0rd-alice", "abc", "abc"), 400, "password must be at least 6 characters")
		d.want(d.send("GET /users/me", there, ""), http.StatusOK)
		a := d.want(change("Passw0rd-alice", "Secret456", "Secret456"), http.StatusOK)
		d.want(d.send("GET /users/me", a.text("jwt"), ""), http.StatusOK)
		for _, old := range []string{here, there} {
			d.refused(d.send("GET /users/me", old, ""), 401, "Missing or invalid credentials")
		}
		d.refused(d.send("POST /auth/local", "", `{"identifier":"alice","password":"Passw0rd-alice"}`), 400, "Invalid identifier or password")
		d.refused(d.send("POST /auth/change-password", "", `{}`), 403, "Forbidden")
	})
}

func TestALoginWithAPasswordThatIsBeingChangedBeginsNoSession(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		u := d.add("alice", "")
		user, err := d.find(patient(t), "alice")
		if err != nil {
			t.Fatal(err)
		}
		_, hash, _, err := d.check(patient(t), user, "Passw0rd-alice")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.SetPassword(patient(t), "alice", "Secret456"); err != nil {
			t.Fatal(err)
		}
		if _, err := d.open(patient(t), user, hash, device{}); err == nil {
			t.Error("a session has begun with a password that was changed")
		}
		if n, err := s.Count(patient(t), sessions, store.Eq("user", u.DocumentID)); n != 0 || err != nil {
			t.Errorf("%d sessions: %v", n, err)
		}
	})
}

func TestALogoutEndsTheSessionAndNoOther(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	here, there := d.enterAs("alice").text("jwt"), d.enterAs("alice").text("jwt")
	d.want(d.send("POST /auth/logout", here, ""), http.StatusOK)
	d.refused(d.send("GET /users/me", here, ""), 401, "Missing or invalid credentials")
	d.want(d.send("GET /users/me", there, ""), http.StatusOK)
	for _, what := range []string{"POST /auth/refresh", "GET /auth/sessions", "DELETE /auth/sessions/x"} {
		d.refused(d.send(what, there, ""), 404, "Not Found")
	}
}

func TestABcryptHashIsTakenOverAndReplacedAtTheFirstLogin(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.passwords = password.New()
		u := d.add("alice", "")
		if _, err := s.Apply(patient(t), store.Delete{Collection: credentials}); err != nil { // as brought over
			t.Fatal(err)
		}
		hash, err := bcrypt.GenerateFromPassword([]byte("FromStrapi"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		login := func(password string) *answer {
			return d.send("POST /auth/local", "", `{"identifier":"alice","password":"`+password+`"}`)
		}
		take := func(hash string) {
			if err := d.SetHash(patient(t), u.DocumentID, hash); err != nil {
				t.Fatal(err)
			}
		}
		take(string(hash))
		d.refused(login("wrong"), 400, "Invalid identifier or password")
		jwt := d.want(login("FromStrapi"), http.StatusOK).text("jwt")
		kept, err := s.Get(patient(t), credentials, u.DocumentID)
		if err != nil || !strings.HasPrefix(kept.String("hash"), "$argon2id$") {
			t.Errorf("kept: %v %v", kept, err)
		}
		take(string(hash)) // again: nothing happens
		d.want(d.send("GET /users/me", jwt, ""), http.StatusOK)
		d.want(login("FromStrapi"), http.StatusOK)
		if err := d.SetPassword(patient(t), "alice", "Secret456"); err != nil {
			t.Fatal(err)
		}
		take(string(hash)) // again: the password was changed here
		d.want(login("Secret456"), http.StatusOK)
		if err := d.SetHash(patient(t), u.DocumentID, "plain"); err == nil {
			t.Error("what is no hash was taken")
		}
	})
}

func TestSessionsOutliveARestart(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			d := newDesk(t, opened(t, at), renewed())
			d.add("alice", "")
			a := d.enterAs("alice")
			again := newDesk(t, opened(t, at), renewed())
			again.want(again.send("GET /users/me", a.text("jwt"), ""), http.StatusOK)
			again.want(again.send("POST /auth/refresh", "", `{"refreshToken":"`+a.text("refreshToken")+`"}`), http.StatusOK)
		})
	}
}

// Hosts that share nothing but the store know each other's logins, and nobody knows those of another store.
func TestLoginsAreGoodWhereTheStoreIsTheSame(t *testing.T) {
	s, foreign := storetest.NewMemory(), storetest.NewMemory()
	var hosts []*desk
	for _, in := range []store.Store{s, s, foreign} {
		d := newDesk(t, in, plain())
		d.Key = nil
		if err := d.readKeys(patient(t)); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, d)
	}
	hosts[0].add("alice", "")
	hosts[2].add("alice", "")
	jwt := hosts[0].enterAs("alice").text("jwt")
	hosts[1].want(hosts[1].send("GET /users/me", jwt, ""), http.StatusOK)
	hosts[2].want(hosts[2].send("GET /users/me", jwt, ""), http.StatusUnauthorized)
	if _, err := hosts[2].verify(patient(t), forAccess, jwt); err == nil {
		t.Error("another store's keys are the same")
	}
}

func TestKeysRotateAndOldTokensStayGoodUntilTheyEndOrAtOnce(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d, other := newDesk(t, s, plain()), newDesk(t, s, plain())
		d.add("alice", "")
		old := d.enterAs("alice").text("jwt")
		if err := d.Rotate(patient(t), false); err != nil {
			t.Fatal(err)
		}
		fresh := d.enterAs("alice").text("jwt")
		if kid(t, old) == kid(t, fresh) {
			t.Error("the key is the same")
		}
		for _, jwt := range []string{old, fresh} {
			d.want(d.send("GET /users/me", jwt, ""), http.StatusOK)
			other.want(other.send("GET /users/me", jwt, ""), http.StatusOK) // another host learns of the key
		}
		if err := d.Rotate(patient(t), true); err != nil {
			t.Fatal(err)
		}
		for _, jwt := range []string{old, fresh} {
			d.refused(d.send("GET /users/me", jwt, ""), 401, "Missing or invalid credentials")
			other.refused(other.send("GET /users/me", jwt, ""), 401, "Missing or invalid credentials")
		}
		d.enterAs("alice")
	})
}

func kid(t *testing.T, jwt string) any {
	t.Helper()
	return header(t, jwt)["kid"]
}
