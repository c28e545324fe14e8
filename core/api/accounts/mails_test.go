package accounts

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func TestAForgottenPasswordIsSetAnewWithTheCodeOfAMail(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		c := plain()
		c.Pages.Reset = "https://app.lab.test/reset?from=mail"
		d := newDesk(t, s, c).running()
		d.add("alice", "")
		old := d.enterAs("alice").text("jwt")
		if a := d.want(d.send("POST /auth/forgot-password", "", `{"email":"Alice@lab.test"}`), http.StatusOK); a.Body.String() != `{"ok":true}` {
			t.Errorf("answered %s", a.Body)
		}
		m := d.posted()
		if m.To[0] != "alice@lab.test" || !strings.Contains(m.Text, "\nhttps://app.lab.test/reset?code=") || !strings.Contains(m.HTML, `<a href="https://app.lab.test/reset?code=`) {
			t.Errorf("the mail is %+v", m)
		}
		reset := func(code, password, again string) *answer {
			return d.send("POST /auth/reset-password", "", fmt.Sprintf(`{"code":%q,"password":%q,"passwordConfirmation":%q}`, code, password, again))
		}
		d.refused(reset("nope", "Secret789", "Secret789"), 400, "Incorrect code provided")
		d.refused(reset(code(t, m), "Secret789", "Secret788"), 400, "Passwords do not match")
		a := d.want(reset(code(t, m), "Secret789", "Secret789"), http.StatusOK)
		d.want(d.send("GET /users/me", a.text("jwt"), ""), http.StatusOK)
		d.refused(d.send("GET /users/me", old, ""), 401, "Missing or invalid credentials")
		d.refused(reset(code(t, m), "Secret789", "Secret789"), 400, "Incorrect code provided")
	})
}

func TestACodeIsGoodForAnHourForItsAddressOnce(t *testing.T) {
	d := memory(t, plain()).running()
	d.add("alice", "editor")
	asked := func() string {
		d.want(d.send("POST /auth/forgot-password", "", `{"email":"alice@lab.test"}`), http.StatusOK)
		return code(t, d.posted())
	}
	reset := func(code string) *answer {
		return d.send("POST /auth/reset-password", "", fmt.Sprintf(`{"code":%q,"password":"Secret789","passwordConfirmation":"Secret789"}`, code))
	}
	late := asked()
	d.later(time.Hour + time.Second)
	d.refused(reset(late), 400, "Incorrect code provided")

	one, two := asked(), asked()
	d.want(reset(one), http.StatusOK)
	d.refused(reset(two), 400, "Incorrect code provided") // they are all used up

	moved := asked()
	jwt := d.want(d.send("POST /auth/local", "", `{"identifier":"alice","password":"Secret789"}`), http.StatusOK).text("jwt")
	d.want(d.send("PUT /users/me", jwt, `{"email":"new@lab.test"}`), http.StatusOK)
	d.refused(reset(moved), 400, "Incorrect code provided")

	docs, err := d.s.Find(patient(t), store.Query{Collection: codes, Limit: 10})
	if err != nil || len(docs) == 0 {
		t.Fatal(docs, err)
	}
	if strings.Contains(fmt.Sprint(docs), moved) {
		t.Errorf("the store has the code itself: %v", docs)
	}
}

func TestRequestsForMailAreAlikeWhoeverTheyAreFor(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	d.add("carol", "")
	if err := d.Block(patient(t), "carol", true); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"alice", "carol", "nobody"} {
		email := who + "@lab.test"
		a := d.want(d.send("POST /auth/forgot-password", "", `{"email":"`+email+`"}`), http.StatusOK)
		b := d.want(d.send("POST /auth/send-email-confirmation", "", `{"email":"`+email+`"}`), http.StatusOK)
		if a.Body.String() != `{"ok":true}` || b.Body.String() != `{"email":"`+email+`","sent":true}` {
			t.Errorf("%s: %s %s", who, a.Body, b.Body)
		}
	}
	for tried := true; tried; {
		tried = d.deliverOne(patient(t))
	}
	if m := d.posted(); m.To[0] != "alice@lab.test" || m.Subject != "Reset password" {
		t.Errorf("the mail is %+v", m)
	}
	if len(d.mails) > 0 {
		t.Errorf("another mail: %+v", <-d.mails)
	}
}

func TestAMailOutlivesARestartAndAMailServerThatIsAway(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.add("alice", "")
		d.want(d.send("POST /auth/forgot-password", "", `{"email":"alice@lab.test"}`), http.StatusOK)
		away := fmt.Errorf("away: %w", fault.Unavailable)
		d.failing.Store(&away)
		if !d.deliverOne(patient(t)) || d.deliverOne(patient(t)) {
			t.Fatal("it was not tried once")
		}
		again := newDesk(t, s, plain())
		if again.deliverOne(patient(t)) {
			t.Fatal("it was tried again at once")
		}
		again.later(firstPause + time.Second)
		if !again.deliverOne(patient(t)) {
			t.Fatal("it was not tried again")
		}
		again.posted()
		if n, err := s.Count(patient(t), letters, nil); n != 0 || err != nil {
			t.Errorf("%d mails wait: %v", n, err)
		}
	})
}

func TestAMailThatCanNeverBeSentIsGivenUp(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	d.want(d.send("POST /auth/forgot-password", "", `{"email":"alice@lab.test"}`), http.StatusOK)
	never := errors.Join(errors.New("never"), fault.Invalid)
	d.failing.Store(&never)
	d.deliverOne(patient(t))
	if n, err := d.s.Count(patient(t), letters, nil); n != 0 || err != nil {
		t.Errorf("%d mails wait: %v", n, err)
	}
}

func TestPausesGrowToABound(t *testing.T) {
	if got := []time.Duration{pauseAfter(1), pauseAfter(2), pauseAfter(3), pauseAfter(100)}; fmt.Sprint(got) != "[10s 30s 1m30s 30m0s]" {
		t.Errorf("pauses: %v", got)
	}
}

func TestWithoutMailAForgottenPasswordIsAnsweredAlike(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	d.Mailer = nil
	d.want(d.send("POST /auth/forgot-password", "", `{"email":"alice@lab.test"}`), http.StatusOK)
	if n, err := d.s.Count(patient(t), letters, nil); n != 0 || err != nil {
		t.Errorf("%d mails wait: %v", n, err)
	}
}

func TestAnAddressIsConfirmedBeforeTheFirstLogin(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		c := plain()
		c.Confirm = true
		d := newDesk(t, s, c).running()
		a := d.want(d.send("POST /auth/local/register", "", `{"username":"dora","email":"Dora@lab.test","password":"Secret123"}`), http.StatusOK)
		if user := a.json["user"].(map[string]any); a.text("jwt") != "" || user["confirmed"] != false || user["email"] != "dora@lab.test" {
			t.Errorf("registered: %s", a.Body)
		}
		m := d.posted()
		if !strings.Contains(m.Text, "\nhttps://api.lab.test/api/auth/email-confirmation?confirmation=") {
			t.Errorf("the mail is %s", m.Text)
		}
		login := func() *answer {
			return d.send("POST /auth/local", "", `{"identifier":"dora","password":"Secret123"}`)
		}
		d.refused(login(), 400, "Your account email is not confirmed")
		d.refused(d.send("GET /auth/email-confirmation?confirmation=x", "", ""), 400, "Invalid token")
		d.refused(d.send("GET /auth/email-confirmation", "", ""), 400, "confirmation is a required field")
		confirm := "GET /auth/email-confirmation?confirmation=" + code(t, m)
		if a := d.want(d.send(confirm, "", ""), http.StatusOK); !strings.Contains(a.Body.String(), "confirmed") {
			t.Errorf("answered %s", a.Body)
		}
		d.want(login(), http.StatusOK)
		d.refused(d.send(confirm, "", ""), 400, "Invalid token")
	})
}

func TestWhoHasConfirmedIsSentToThePageForIt(t *testing.T) {
	c := plain()
	c.Confirm, c.Pages.Confirmed = true, "https://app.lab.test/welcome"
	d := memory(t, c).running()
	d.want(d.send("POST /auth/local/register", "", `{"username":"dora","email":"dora@lab.test","password":"Secret123"}`), http.StatusOK)
	a := d.want(d.send("GET /auth/email-confirmation?confirmation="+code(t, d.posted()), "", ""), http.StatusFound)
	if to := a.Header().Get("Location"); to != "https://app.lab.test/welcome" {
		t.Errorf("sent to %s", to)
	}
}
