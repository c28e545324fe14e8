package accounts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

// full is a token that may do everything.
func (d *desk) full() string {
	d.t.Helper()
	token, err := d.CreateToken(patient(d.t), "full", access.FullAccess, nil, time.Time{})
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

// names are the usernames of a list.
func names(t *testing.T, a *answer) string {
	t.Helper()
	var all []struct{ Username string }
	if err := json.Unmarshal(a.Body.Bytes(), &all); err != nil {
		t.Fatalf("%v: %s", err, a.Body)
	}
	var names []string
	for _, u := range all {
		names = append(names, u.Username)
	}
	return strings.Join(names, " ")
}

func TestUsersAreListedAsTheyAre(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		for _, name := range []string{"alice", "bob", "carol"} {
			d.add(name, "")
		}
		jwt, full := d.enterAs("alice").text("jwt"), d.full()
		for query, want := range map[string]string{
			"": "alice bob carol", "?start=1&limit=1": "bob", "?filters[username][$eq]=bob": "bob", "?sort=username:desc&fields=username": "carol bob alice",
		} {
			if got := names(t, d.want(d.send("GET /users"+query, jwt, ""), http.StatusOK)); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		d.refused(d.send("GET /users", "", ""), 403, "Forbidden")
		d.refused(d.send("GET /users/count", jwt, ""), 403, "Forbidden")
		if n := d.want(d.send("GET /users/count?filters[username][$ne]=bob", full, ""), http.StatusOK); n.Body.String() != "2" {
			t.Errorf("counted %s", n.Body)
		}
		d.refused(d.send("GET /users/me", full, ""), 401, "Unauthorized")
		d.refused(d.send("GET /users?filters[password][$eq]=x", full, ""), 400, "Invalid key password")
	})
}

func TestOneUserIsFoundByNumberOrDocumentID(t *testing.T) {
	d := memory(t, plain())
	u := d.add("alice", "")
	jwt := d.enterAs("alice").text("jwt")
	for _, id := range []string{"1", u.DocumentID} {
		if a := d.want(d.send("GET /users/"+id+"?fields=username", jwt, ""), http.StatusOK); a.text("username") != "alice" || a.text("email") != "" {
			t.Errorf("%s: %s", id, a.Body)
		}
	}
	for _, id := range []string{"9999", "nobody", "no.body", "-1", "99999999999999999999"} {
		if a := d.want(d.send("GET /users/"+id, jwt, ""), http.StatusNoContent); a.Body.Len() > 0 {
			t.Errorf("%s: %s", id, a.Body)
		}
	}
	if a := d.want(d.send("GET /users/me?populate=role", d.enterAs("alice").text("jwt"), ""), http.StatusOK); a.json["role"] != nil {
		t.Errorf("a role is shown to who may not see roles: %s", a.Body)
	}
}

func TestAServerMakesChangesAndRemovesUsers(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		full := d.full()
		create := func(body string) *answer { return d.send("POST /users", full, body) }
		a := d.want(create(`{"username":"adam","email":"Adam@lab.test","password":"Secret123","role":1,"confirmed":true}`), http.StatusCreated)
		role, _ := a.json["role"].(map[string]any)
		if a.text("email") != "adam@lab.test" || a.json["confirmed"] != true || role["type"] != "authenticated" || role["name"] != "Authenticated" || role["id"] != 1.0 {
			t.Errorf("created %s", a.Body)
		}
		d.refused(create(`{"username":"adam","email":"other@lab.test","password":"Secret123","role":1}`), 400, "This attribute must be unique")
		d.refused(create(`{"username":"other","email":"adam@lab.test","password":"Secret123","role":1}`), 400, "Email already taken")
		d.refused(create(`{"username":"other","email":"other@lab.test","password":"Secret123"}`), 400, "role is a required field")
		d.refused(create(`{"username":"other","email":"other@lab.test","password":"Secret123","role":[null,null]}`), 400, "role must be one role")
		jwt := d.want(d.send("POST /auth/local", "", `{"identifier":"adam","password":"Secret123"}`), http.StatusOK).text("jwt")

		id := "/users/" + a.text("documentId")
		a = d.want(d.send("PUT "+id, full, `{"username":"adam2","password":"Secret456"}`), http.StatusOK)
		if a.text("username") != "adam2" || a.text("email") != "adam@lab.test" {
			t.Errorf("changed to %s", a.Body)
		}
		d.refused(d.send("GET /users/me", jwt, ""), 401, "Missing or invalid credentials")
		jwt = d.want(d.send("POST /auth/local", "", `{"identifier":"adam2","password":"Secret456"}`), http.StatusOK).text("jwt")
		d.want(create(`{"username":"eve","email":"eve@lab.test","password":"Secret123","role":1}`), http.StatusCreated)
		d.refused(d.send("PUT "+id, full, `{"username":"eve"}`), 400, "Username already taken")
		d.refused(d.send("PUT "+id, full, `{"email":"EVE@lab.test"}`), 400, "Email already taken")
		d.refused(d.send("PUT "+id, full, `{"password":"x"}`), 400, "password must be at least 6 characters")
		d.refused(d.send("PUT /users/9999", full, `{}`), 404, "User not found")
		d.want(d.send("PUT "+id, full, `{"blocked":true}`), http.StatusOK)
		d.refused(d.send("GET /users/me", jwt, ""), 401, "Invalid credentials")

		a = d.want(d.send("DELETE "+id, full, ""), http.StatusOK)
		if a.text("username") != "adam2" || a.json["role"] != nil {
			t.Errorf("deleted %s", a.Body)
		}
		d.want(d.send("DELETE "+id, full, ""), http.StatusNoContent)
		d.want(d.send("DELETE /users/9999", full, ""), http.StatusNoContent)
		for _, c := range []string{credentials, sessions, codes} {
			if n, err := s.Count(patient(t), c, store.Eq("user", a.text("documentId"))); n != 0 || err != nil {
				t.Errorf("%d documents are left in %s: %v", n, c, err)
			}
		}
	})
}

func TestNobodyGivesHimselfAnotherRole(t *testing.T) {
	c := plain()
	d := memory(t, c)
	d.add("alice", "editor")
	bob := d.add("bob", "")
	jwt := d.enterAs("alice").text("jwt")
	for _, body := range []string{`{"role":2}`, `{"blocked":false}`, `{"confirmed":true}`} {
		d.refused(d.send("PUT /users/me", jwt, body), 403, "Forbidden")
		d.refused(d.send("PUT /users/1", jwt, body), 403, "Forbidden")
	}
	d.want(d.send("PUT /users/me", jwt, `{"username":"alice2"}`), http.StatusOK)
	d.want(d.send("PUT /users/"+fmt.Sprint(bob.Number), jwt, `{"role":2}`), http.StatusOK)
	d.refused(d.send("PUT /users/1", d.enterAs("bob").text("jwt"), `{"username":"x"}`), 403, "Forbidden")
}

func TestWhoMovesToAnotherAddressConfirmsIt(t *testing.T) {
	c := plain()
	c.Confirm = true
	d := memory(t, c).running()
	d.add("alice", "editor")
	jwt := d.enterAs("alice").text("jwt")
	if a := d.want(d.send("PUT /users/me", jwt, `{"email":"new@lab.test"}`), http.StatusOK); a.json["confirmed"] != false {
		t.Errorf("changed to %s", a.Body)
	}
	d.refused(d.send("GET /users/me", jwt, ""), 401, "Invalid credentials")
	m := d.posted()
	if m.To[0] != "new@lab.test" {
		t.Errorf("the mail goes to %v", m.To)
	}
	d.want(d.send("GET /auth/email-confirmation?confirmation="+code(t, m), "", ""), http.StatusOK)
	d.enterAs("alice")
}

func TestRolesAreThoseOfTheConfiguration(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		d.add("alice", "")
		d.add("bob", "editor")
		full := d.full()
		a := d.want(d.send("GET /users-permissions/roles", full, ""), http.StatusOK)
		var got []string
		for _, one := range a.json["roles"].([]any) {
			role := one.(map[string]any)
			got = append(got, fmt.Sprint(role["id"], role["name"], role["type"], role["nb_users"]))
		}
		if want := "[1Authenticatedauthenticated1 2Publicpublic0 3Editoreditor1 4Selfself0]"; fmt.Sprint(got) != want {
			t.Errorf("roles: %v, want %s", got, want)
		}
		if !strings.Contains(a.Body.String(), `"description":"Default role given to unauthenticated user."`) {
			t.Errorf("roles: %s", a.Body)
		}
		a = d.want(d.send("GET /users-permissions/roles/2", full, ""), http.StatusOK)
		if role := a.json["role"].(map[string]any); role["type"] != "public" || role["permissions"].(map[string]any)["plugin::users-permissions"] == nil {
			t.Errorf("role 2: %s", a.Body)
		}
		d.refused(d.send("GET /users-permissions/roles/99", full, ""), 404, "Not Found")
		d.refused(d.send("GET /users-permissions/roles/no.thing", full, ""), 404, "Not Found")
		d.want(d.send("GET /users-permissions/permissions", full, ""), http.StatusOK)
		for _, what := range []string{"POST /users-permissions/roles", "PUT /users-permissions/roles/1", "DELETE /users-permissions/roles/1"} {
			d.want(d.send(what, full, `{}`), http.StatusForbidden)
		}
		d.refused(d.send("GET /users-permissions/roles", "", ""), 403, "Forbidden")
		d.want(d.send("GET /users-permissions/roles", d.enterAs("bob").text("jwt"), ""), http.StatusOK)
		if err := d.SetRole(patient(t), "bob", "authenticated"); err != nil {
			t.Fatal(err)
		}
		d.refused(d.send("GET /users-permissions/roles", d.enterAs("bob").text("jwt"), ""), 403, "Forbidden")
	})
}

func TestHostsThatStartTogetherMakeEachRoleOnce(t *testing.T) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			stores := []store.Store{opened(t, at), opened(t, at), opened(t, at)}
			d := newDesk(t, stores[0], &config0)
			if _, err := stores[0].Apply(patient(t), store.Delete{Collection: "content-role"}); err != nil {
				t.Fatal(err)
			}
			together(len(stores), func(i int) { newDesk(t, stores[i], &config0) })
			if n, err := stores[0].Count(patient(t), "content-role", nil); n != len(d.rules.Load().policy.Roles()) || err != nil {
				t.Errorf("%d roles: %v", n, err)
			}
		})
	}
}

var config0 = *plain()

func TestThoseWhoRunTheHostManageUsers(t *testing.T) {
	d := memory(t, plain())
	ctx := patient(t)
	for i := range 12 {
		d.add(fmt.Sprintf("user%02d", i), []string{"", "editor"}[i%2])
	}
	page, err := d.Users(ctx, Filter{Search: "USER0", Role: "editor", Limit: 3})
	if err != nil || len(page) != 3 || page[0].Username != "user01" || page[0].Role != "editor" || !page[0].Confirmed {
		t.Fatalf("%+v %v", page, err)
	}
	page, err = d.Users(ctx, Filter{Search: "lab.test", After: page[2].Number, Role: "editor"})
	if err != nil || len(page) != 3 || page[2].Username != "user11" {
		t.Errorf("%+v %v", page, err)
	}
	d.enterAs("user01")
	if n, err := d.EndSessions(ctx, "user01@lab.test"); n != 1 || err != nil {
		t.Errorf("%d sessions have ended: %v", n, err)
	}
	for what, err := range map[string]error{
		"a short password":  d.SetPassword(ctx, "user01", "abc"),
		"nobody":            d.SetPassword(ctx, "nobody", "Secret123"),
		"no role":           d.SetRole(ctx, "user01", "king"),
		"an unknown filter": second(d.Users(ctx, Filter{Limit: 5000})),
		"a name taken":      second(d.AddUser(ctx, "user01", "x@lab.test", "Secret123", "")),
		"no address":        second(d.AddUser(ctx, "other", "x", "Secret123", "")),
	} {
		if code := fault.CodeOf(err); code != fault.Invalid && code != fault.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.Remove(ctx, "1"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(ctx, "user00"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("removed twice: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// whole fails what would write users apart from their passwords and sessions.
type whole struct {
	store.Store
	t testing.TB
}

func (s whole) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	in := map[string]bool{}
	for _, w := range writes {
		switch w := w.(type) {
		case store.Insert:
			in[w.Collection] = true
		case store.Put:
			in[w.Collection] = true
		case store.Delete:
			in[w.Collection] = true
		}
	}
	user := in["content-user"] || in["api-changes"]
	if user != (in[credentials] || in[sessions]) {
		s.t.Errorf("written at once is %v: who is killed now leaves half a user", in)
	}
	return s.Store.Apply(ctx, writes...)
}

func TestAUserIsNeverThereByHalf(t *testing.T) {
	d := newDesk(t, storetest.NewMemory(), plain())
	full := d.full()
	d.Store = whole{d.Store, t}
	d.Entries = entries.New(entries.Options{Store: d.Store, Log: quiet, History: time.Hour})
	d.Entries.Use(d.set)
	d.add("alice", "")
	user := d.want(d.send("POST /users", full, `{"username": "bob", "email": "bob@example.org", "password": "Secret123", "role": 1}`), http.StatusCreated)
	id := fmt.Sprint(user.json["id"])
	d.want(d.send("PUT /users/"+id, full, `{"username": "rob", "password": "Other1234"}`), http.StatusOK)
	d.want(d.send("PUT /users/"+id, full, `{"blocked": true}`), http.StatusOK)
	d.want(d.send("DELETE /users/"+id, full, ""), http.StatusOK)
	if err := d.Block(patient(t), "alice", true); err != nil {
		t.Error(err)
	}
	if err := d.Remove(patient(t), "alice"); err != nil {
		t.Error(err)
	}
}
