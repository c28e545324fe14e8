package accounts

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func TestATokenIsShownOnceAndGoodUntilItExpiresOrIsRevoked(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		ctx := patient(t)
		token, err := d.CreateToken(ctx, "shop", access.Custom, []string{"user.find"}, d.now().Add(time.Hour))
		if err != nil || !strings.HasPrefix(token, "edge_") || len(token) != 48 {
			t.Fatal(token, err)
		}
		d.want(d.send("GET /users", token, ""), http.StatusOK)
		d.refused(d.send("GET /users/count", token, ""), 403, "Forbidden")
		all, err := d.Tokens(ctx)
		if err != nil || len(all) != 1 || all[0].Name != "shop" || all[0].Kind != access.Custom || all[0].Permissions[0] != "user.find" || !all[0].UsedAt.IsZero() {
			t.Fatalf("%+v %v", all, err)
		}
		if docs, err := s.Find(ctx, store.Query{Collection: tokens, Limit: 1}); err != nil || strings.Contains(docs[0].ID(), token) || docs[0].ID() != sum(token) {
			t.Errorf("%v %v", docs, err)
		}
		d.refused(d.send("GET /users", token[:47]+"x", ""), 401, "Missing or invalid credentials")
		if _, err := d.CreateToken(ctx, "shop", access.FullAccess, nil, time.Time{}); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("the same name twice: %v", err)
		}
		d.later(time.Hour)
		d.refused(d.send("GET /users", token, ""), 401, "Token expired")
		if err := d.RevokeToken(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
		d.refused(d.send("GET /users", token, ""), 401, "Missing or invalid credentials")
		if err := d.RevokeToken(ctx, "shop"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("revoked twice: %v", err)
		}
	})
}

func TestTheUseOfATokenIsNotedOnceAnHour(t *testing.T) {
	engines.Each(t, func(t *testing.T, s store.Store) {
		d := newDesk(t, s, plain())
		token := d.full()
		used := func(after time.Duration, want int) {
			t.Helper()
			d.later(after)
			d.want(d.send("GET /users", token, ""), http.StatusOK)
			if n := len(d.uses); n != want {
				t.Fatalf("%d uses are to be noted %v later, want %d", n, after, want)
			}
		}
		noted := func() time.Time {
			t.Helper()
			if err := d.noteUse(patient(t), <-d.uses); err != nil {
				t.Fatal(err)
			}
			all, err := d.Tokens(patient(t))
			if err != nil {
				t.Fatal(err)
			}
			return all[0].UsedAt
		}
		used(0, 1)
		first := noted()
		used(59*time.Minute, 0)
		used(time.Minute, 1)
		used(0, 2) // not noted yet
		next := noted()
		if again := noted(); first.IsZero() || next.Sub(first) < time.Hour || !again.Equal(next) {
			t.Errorf("noted at %v, %v and %v", first, next, again)
		}
	})
}

func TestATokenThatMakesNoSenseIsNotMade(t *testing.T) {
	d := memory(t, plain())
	ctx := patient(t)
	for what, err := range map[string]error{
		"no name":             second(d.CreateToken(ctx, "", access.FullAccess, nil, time.Time{})),
		"a line break":        second(d.CreateToken(ctx, "a\nb", access.FullAccess, nil, time.Time{})),
		"no kind":             second(d.CreateToken(ctx, "a", "root", nil, time.Time{})),
		"nothing permitted":   second(d.CreateToken(ctx, "a", access.Custom, nil, time.Time{})),
		"too much said":       second(d.CreateToken(ctx, "a", access.ReadOnly, []string{"user.find"}, time.Time{})),
		"an unknown type":     second(d.CreateToken(ctx, "a", access.Custom, []string{"shop.find"}, time.Time{})),
		"an unknown action":   second(d.CreateToken(ctx, "a", access.Custom, []string{"user.eat"}, time.Time{})),
		"no permission":       second(d.CreateToken(ctx, "a", access.Custom, []string{"user"}, time.Time{})),
		"what has expired":    second(d.CreateToken(ctx, "a", access.FullAccess, nil, d.now())),
		"a name without end":  second(d.CreateToken(ctx, strings.Repeat("a", 200), access.FullAccess, nil, time.Time{})),
		"a control character": second(d.CreateToken(ctx, "a\x7f", access.FullAccess, nil, time.Time{})),
	} {
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatATokenMayIsWhatItsKindSays(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	read, err := d.CreateToken(patient(t), "read", access.ReadOnly, nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	d.want(d.send("GET /users/1", read, ""), http.StatusOK)
	d.refused(d.send("DELETE /users/1", read, ""), 403, "Forbidden")
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+read)
	c, err := d.Authenticate(patient(t), r)
	if err != nil || c.Name() != "token:read" || !d.Valid(patient(t), c) {
		t.Errorf("%+v %v", c, err)
	}
	if err := d.RevokeToken(patient(t), "read"); err != nil {
		t.Fatal(err)
	}
	if d.Valid(patient(t), c) {
		t.Error("a caller is valid whose token was revoked")
	}
}
