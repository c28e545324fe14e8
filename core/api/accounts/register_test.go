package accounts

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/onehost/edge/core/store"
)

func (d *desk) register(username, email, password string) *answer {
	d.t.Helper()
	return d.send("POST /auth/local/register", "", `{"username":"`+username+`","email":"`+email+`","password":"`+password+`"}`)
}

func TestAVisitorRegistersAndIsLoggedIn(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		a := d.want(d.register("dora", "Dora@Lab.test", "Secret123"), http.StatusOK)
		user := a.json["user"].(map[string]any)
		if user["email"] != "dora@lab.test" || user["confirmed"] != true || user["blocked"] != false || user["provider"] != "local" || user["role"] != nil {
			t.Errorf("registered: %s", a.Body)
		}
		d.want(d.send("GET /users/me", a.text("jwt"), ""), http.StatusOK)
		d.want(d.send("GET /users", a.text("jwt"), ""), http.StatusOK) // as authenticated
	})
}

func TestNobodyIsMistakenForAnother(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.want(d.register("dora", "dora@lab.test", "Secret123"), http.StatusOK)
		for _, one := range [][2]string{
			{"dora", "other@lab.test"}, {"other", "DORA@lab.test"}, {"dora@lab.test", "other@lab.test"}, {"DORA@lab.test", "other@lab.test"},
		} {
			d.refused(d.register(one[0], one[1], "Secret123"), 400, "Email or Username are already taken")
		}
		d.want(d.register("eve@lab.test", "other@lab.test", "Secret123"), http.StatusOK)
		d.refused(d.register("evelyn", "eve@lab.test", "Secret123"), 400, "Email or Username are already taken")
	})
}

func TestOfManyWhoRegisterAtOnceWithTheSameNameOneDoes(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		var fine, taken atomic.Int64
		together(6, func(i int) {
			a := d.register("dora", string(rune('a'+i))+"@lab.test", "Secret123")
			switch {
			case a.Code == http.StatusOK:
				fine.Add(1)
			case strings.Contains(a.Body.String(), "Email or Username are already taken"):
				taken.Add(1)
			default:
				t.Errorf("%d %s", a.Code, a.Body)
			}
		})
		if fine.Load() != 1 || taken.Load() != 5 {
			t.Errorf("%d have registered, %d were told that the name is taken", fine.Load(), taken.Load())
		}
	})
}

func TestWhatIsWrongWithABodyIsSaidInStrapisWords(t *testing.T) {
	c := plain()
	d := memory(t, c)
	long := strings.Repeat("p", 80)
	for _, one := range []struct{ path, body, want string }{
		{"/auth/local", `{"identifier":"alice"}`, `"ValidationError","message":"password is a required field","details":{"errors":[{"path":["password"],"message":"password is a required field","name":"ValidationError"}]}}}`},
		{"/auth/local", `{"identifier":1,"password":{"a":1}}`, `"2 errors occurred","details":{"errors":[{"path":["identifier"],"message":"identifier must be a ` + "`string` type, but the final value was: `1`" + `.","name":"ValidationError","value":1},{"path":["password"],"message":"password must be a ` + "`string` type, but the final value was: `{\\n  \\\"a\\\": \\\"1\\\"\\n}`" + `.","name":"ValidationError","value":{"a":1}}]}}}`},
		{"/auth/local", "", `"2 errors occurred"`},
		{"/auth/local/register", `{"username":"v","email":"v@lab.test","password":"abc"}`, `"password must be at least 6 characters","details":{"errors":[{"path":["password"],"message":"password must be at least 6 characters","name":"ValidationError","value":"abc"}]}}}`},
		{"/auth/local/register", `{"username":"v","email":"nomail","password":"Secret123"}`, `"email must be a valid email","details":{"errors":[{"path":["email"],"message":"email must be a valid email","name":"ValidationError","value":"nomail"}]}}}`},
		{"/auth/local/register", `{"username":"v","email":"v@lab.test","password":"Secret123","role":1,"confirmed":true}`, `"Invalid parameters: confirmed, role","details":{}}}`},
		{"/auth/local/register", `{"username":"v","email":"v@lab.test","password":"` + long + `"}`, `"Password must be less than 73 bytes"`},
		{"/auth/local/register", `{"username":"ab","email":"v@lab.test","password":"Secret123"}`, `"username must be at least 3 characters"`},
		{"/auth/forgot-password", `{"email":"x"}`, `"email must be a valid email"`},
		{"/auth/local", `{"identifier":`, `"SyntaxError"`},
	} {
		a := d.send("POST "+one.path, "", one.body)
		if a.Code != 400 || !strings.Contains(a.Body.String(), one.want) {
			t.Errorf("%s %.100s: %d %s\nwant %s", one.path, one.body, a.Code, a.Body, one.want)
		}
	}
	c.Registration = false
	d.refused(d.register("dora", "dora@lab.test", "Secret123"), 400, "Register action is currently disabled")
}

func TestOtherWaysToLogInAreDisabled(t *testing.T) {
	d := memory(t, plain())
	for _, path := range []string{"/auth/github/callback", "/connect/github", "/connect/github/callback"} {
		d.refused(d.send("GET "+path, "", ""), 400, "This provider is disabled")
	}
}

func FuzzAnAddressIsOneThatMailTakesApartTheSameWay(f *testing.F) {
	for _, s := range []string{"a@b.test", "a.b+c@d-e.test", "@b.test", "a@b", "a@-b.test", "a@b@c.test", `"a"@b.test`, "a@b.test\n", "ä@b.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isEmail(s) {
			return
		}
		if strings.Count(s, "@") != 1 || len(s) > maxEmail || strings.ContainsAny(s, " \t\r\n<>(),;:\\\"[]") {
			t.Errorf("%q was taken for an address", s)
		}
	})
}
