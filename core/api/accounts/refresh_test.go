package accounts

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
)

func (d *desk) renewWith(token string) *answer {
	d.t.Helper()
	return d.send("POST /auth/refresh", "", `{"refreshToken":"`+token+`"}`)
}

func TestATokenRenewsASessionOnceAndItsReuseEndsIt(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, renewed())
		d.add("alice", "")
		first := d.enterAs("alice")
		second := d.want(d.renewWith(first.text("refreshToken")), http.StatusOK)
		if second.text("refreshToken") == first.text("refreshToken") || second.text("jwt") == "" || second.json["user"] != nil {
			t.Fatalf("renewed: %s", second.Body)
		}
		d.want(d.send("GET /users/me", second.text("jwt"), ""), http.StatusOK)

		// Another window of the browser is a moment late: it gets what the first one got.
		late := d.want(d.renewWith(first.text("refreshToken")), http.StatusOK)
		third := d.want(d.renewWith(late.text("refreshToken")), http.StatusOK)

		// A thief is minutes late.
		d.later(time.Minute)
		d.refused(d.renewWith(second.text("refreshToken")), 401, "Invalid refresh token")
		d.refused(d.renewWith(third.text("refreshToken")), 401, "Invalid refresh token")
		d.refused(d.send("GET /users/me", third.text("jwt"), ""), 401, "Missing or invalid credentials")
	})
}

func TestATokenOfTwoRenewalsAgoIsReuseHoweverEarly(t *testing.T) {
	d := memory(t, renewed())
	d.add("alice", "")
	first := d.enterAs("alice")
	second := d.want(d.renewWith(first.text("refreshToken")), http.StatusOK)
	third := d.want(d.renewWith(second.text("refreshToken")), http.StatusOK)
	d.refused(d.renewWith(first.text("refreshToken")), 401, "Invalid refresh token")
	d.refused(d.renewWith(third.text("refreshToken")), 401, "Invalid refresh token")
}

func TestWindowsThatRenewAtTheSameMomentAllStayLoggedIn(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, renewed())
		d.add("alice", "")
		first := d.enterAs("alice")
		const windows = 8
		var tokens [windows]string
		var fine atomic.Int64
		together(windows, func(i int) {
			if a := d.renewWith(first.text("refreshToken")); a.Code == http.StatusOK {
				tokens[i] = a.text("refreshToken")
				fine.Add(1)
			}
		})
		if fine.Load() != windows {
			t.Fatalf("%d of %d windows were answered", fine.Load(), windows)
		}
		for _, token := range tokens {
			if n := part(t, token, 1)["n"]; n != 1.0 {
				t.Errorf("a window got renewal %v, want the first", n)
			}
		}
	})
}

func TestASessionEndsWhenItIsIdleAndAtTheLatest(t *testing.T) {
	d := memory(t, renewed())
	d.add("alice", "")
	idle := d.enterAs("alice")
	d.later(7*24*time.Hour + time.Second)
	d.refused(d.renewWith(idle.text("refreshToken")), 401, "Invalid refresh token")

	a := d.enterAs("alice")
	for range 5 { // every 6 days: never idle
		d.later(6*24*time.Hour - time.Second)
		a = d.want(d.renewWith(a.text("refreshToken")), http.StatusOK)
	}
	d.later(time.Minute)
	d.refused(d.renewWith(a.text("refreshToken")), 401, "Invalid refresh token")
	d.refused(d.send("GET /users/me", a.text("jwt"), ""), 401, "Missing or invalid credentials")
}

func TestATokenOfOnePurposeIsNoneOfAnother(t *testing.T) {
	d := memory(t, renewed())
	d.add("alice", "")
	a := d.enterAs("alice")
	d.refused(d.send("GET /users/me", a.text("refreshToken"), ""), 401, "Missing or invalid credentials")
	d.refused(d.renewWith(a.text("jwt")), 401, "Invalid refresh token")
	d.refused(d.renewWith(""), 400, "Missing refresh token")
	d.want(d.send("GET /users/me", a.text("jwt"), ""), http.StatusOK)
	d.later(10*time.Minute + time.Second)
	d.refused(d.send("GET /users/me", a.text("jwt"), ""), 401, "Missing or invalid credentials")
}

func TestWhoIsBlockedCannotRenew(t *testing.T) {
	d := memory(t, renewed())
	d.add("alice", "")
	a := d.enterAs("alice")
	if err := d.Block(patient(t), "alice", true); err != nil {
		t.Fatal(err)
	}
	d.refused(d.renewWith(a.text("refreshToken")), 401, "Invalid refresh token")
}

func TestTheTokenThatRenewsIsInACookieForWhoAsksForIt(t *testing.T) {
	d := memory(t, renewed())
	d.add("alice", "")
	a := d.enterAs("alice", "X-Strapi-Refresh-Cookie", "httpOnly")
	cookies := a.Result().Cookies()
	if a.text("refreshToken") != "" || len(cookies) != 1 {
		t.Fatalf("%s %v", a.Body, cookies)
	}
	c := cookies[0]
	if c.Name != "strapi_up_refresh" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.MaxAge < 600_000 {
		t.Errorf("the cookie is %v", c)
	}
	a = d.want(d.send("POST /auth/refresh", "", "", "Cookie", c.Name+"="+c.Value, "X-Strapi-Refresh-Cookie", "httpOnly"), http.StatusOK)
	if a.text("refreshToken") != "" || len(a.Result().Cookies()) != 1 {
		t.Errorf("renewed: %s %v", a.Body, a.Result().Cookies())
	}
	c = a.Result().Cookies()[0]
	a = d.want(d.send("POST /auth/refresh", "", "", "Cookie", c.Name+"="+c.Value), http.StatusOK) // a script that wants to read it
	if a.text("refreshToken") != "" || len(a.Result().Cookies()) != 1 {
		t.Errorf("the cookie is told to a script: %s %v", a.Body, a.Result().Cookies())
	}
	a = d.want(d.send("POST /auth/logout", a.text("jwt"), "", "X-Strapi-Refresh-Cookie", "httpOnly"), http.StatusOK)
	if c := a.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("after the logout: %v", c)
	}
}

func TestAUserSeesAndEndsSessions(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, renewed())
		d.add("alice", "")
		d.add("bob", "")
		bob := d.enterAs("bob").text("jwt")
		phone := d.want(d.send("POST /auth/local", "", `{"identifier":"alice","password":"Passw0rd-alice","deviceId":"phone"}`, "User-Agent", "Phone/1"), http.StatusOK).text("jwt")
		d.later(time.Second)
		desktop := d.enterAs("alice").text("jwt")
		list := func(token string) []any {
			return d.want(d.send("GET /auth/sessions", token, ""), http.StatusOK).json["data"].([]any)
		}
		all := list(phone)
		if len(all) != 2 {
			t.Fatalf("sessions: %v", all)
		}
		own, other := all[0].(map[string]any), all[1].(map[string]any)
		if own["current"] != true || own["deviceId"] != "phone" || own["deviceName"] != "Phone/1" || other["current"] != false {
			t.Errorf("sessions: %v", all)
		}
		d.refused(d.send("DELETE /auth/sessions/"+other["id"].(string), bob, ""), 404, "Session not found")
		d.want(d.send("DELETE "+strings.ToLower("/auth/sessions/"+other["id"].(string)), phone, ""), http.StatusOK) // as the api reads paths
		d.refused(d.send("GET /users/me", desktop, ""), 401, "Missing or invalid credentials")

		desktop = d.enterAs("alice").text("jwt")
		d.want(d.send("POST /auth/logout", desktop, `{"deviceId":"phone"}`), http.StatusOK)
		if all = list(desktop); len(all) != 1 {
			t.Errorf("after the phone's logout: %v", all)
		}
		d.enterAs("alice")
		d.want(d.send("POST /auth/logout", desktop, `{"scope":"all"}`), http.StatusOK)
		if n, err := s.Count(patient(t), sessions, nil); n != 1 || err != nil { // bob's
			t.Errorf("%d sessions go on: %v", n, err)
		}
	})
}

func TestAUserHasABoundedNumberOfSessions(t *testing.T) {
	d := memory(t, plain())
	u := d.add("alice", "")
	user, err := d.find(patient(t), "alice")
	if err != nil {
		t.Fatal(err)
	}
	_, hash, _, err := d.check(patient(t), user, "Passw0rd-alice")
	if err != nil {
		t.Fatal(err)
	}
	var last grant
	for range maxSessions + 20 {
		d.later(time.Second)
		if last, err = d.open(patient(t), user, hash, device{}); err != nil {
			t.Fatal(err)
		}
	}
	n, err := d.s.Count(patient(t), sessions, store.Eq("user", u.DocumentID))
	if n != maxSessions || err != nil {
		t.Errorf("%d sessions: %v", n, err)
	}
	d.want(d.send("GET /users/me", last.access, ""), http.StatusOK)
}
