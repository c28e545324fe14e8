package accounts

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store"
)

// watched counts what is read of a store.
type watched struct {
	store.Store
	gets, others int
}

func (w *watched) Get(ctx context.Context, collection, id string) (store.Document, error) {
	w.gets++
	return w.Store.Get(ctx, collection, id)
}

func (w *watched) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	w.others++
	return w.Store.Find(ctx, q)
}

func TestARequestCostsTwoReadsAtMost(t *testing.T) {
	d := memory(t, plain())
	d.add("alice", "")
	jwt, token := d.enterAs("alice").text("jwt"), d.full()
	w := &watched{Store: d.Store}
	d.Store = w
	for text, want := range map[string]int{jwt: 2, token: 1, "": 0} {
		w.gets, w.others = 0, 0
		if _, err := d.Authenticate(patient(t), asking(t, text)); err != nil || w.gets != want || w.others > 0 {
			t.Errorf("%.10s: %d gets, %d others: %v", text, w.gets, w.others, err)
		}
	}
	w.gets, w.others = 0, 0
	forged := jwt[:len(jwt)-5] + "AAAAA"
	if _, err := d.Authenticate(patient(t), asking(t, forged)); err == nil || w.gets+w.others > 0 {
		t.Errorf("a token that nobody has signed: %d reads, %v", w.gets+w.others, err)
	}
	unknown := "eyJhbGciOiJIUzI1NiIsImtpZCI6Ijk5In0." + strings.SplitN(jwt, ".", 2)[1]
	w.others = 0
	for range 100 {
		if _, err := d.Authenticate(patient(t), asking(t, unknown)); err == nil {
			t.Fatal("a token of an unknown key is good")
		}
	}
	if w.others > 5 {
		t.Errorf("tokens of an unknown key had the keys be read %d times", w.others)
	}
}

func asking(t testing.TB, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func BenchmarkAuthenticate(b *testing.B) {
	d := newDesk(b, opened(b, filepath.Join(b.TempDir(), "edge.db")), plain())
	d.add("alice", "")
	jwt := d.enterAs("alice").text("jwt")
	ctx := context.Background()
	r := asking(b, jwt)
	for b.Loop() {
		if _, err := d.Authenticate(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzNoTokenThatWasNotMadeIsGood(f *testing.F) {
	d := memory(f, renewed())
	d.add("alice", "")
	a := d.enterAs("alice")
	made := map[string]bool{a.text("jwt"): true}
	for _, s := range []string{a.text("jwt"), a.text("refreshToken"), "a.b.c", "..", "edge_x", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + s}}, RemoteAddr: "10.0.0.1:1"}
		c, err := d.Authenticate(t.Context(), r)
		if err == nil && (c.User != nil || c.Token != nil) && !made[strings.TrimSpace(s)] {
			t.Errorf("%q is good", s)
		}
	})
}

func TestOnlySoManyTokensAreRemembered(t *testing.T) {
	var v verified
	for i := range 5 * maxVerified {
		v.put(fmt.Sprint(i), good{user: int64(i)})
		if g, ok := v.get(fmt.Sprint(max(0, i-maxVerified+1))); !ok || g.user != int64(max(0, i-maxVerified+1)) {
			t.Fatalf("one of the last %d is forgotten after %d", maxVerified, i)
		}
	}
	if n := len(v.young) + len(v.before); n > 2*maxVerified {
		t.Errorf("%d are remembered", n)
	}
}
