package password

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/core/fault"
)

func TestAHashIsOfItsPasswordAlone(t *testing.T) {
	h := New()
	hash, err := h.Hash(t.Context(), "Passw0rd-älice")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(hash, err)
	}
	again, _ := h.Hash(t.Context(), "Passw0rd-älice")
	if again == hash {
		t.Error("two hashes are the same")
	}
	for plain, want := range map[string]bool{"Passw0rd-älice": true, "Passw0rd-alice": false, "": false, strings.Repeat("x", MaxPassword+1): false} {
		if ok, stale, err := h.Verify(t.Context(), hash, plain); ok != want || stale || err != nil {
			t.Errorf("%.20q: %v %v %v", plain, ok, stale, err)
		}
	}
	if _, err := h.Hash(t.Context(), strings.Repeat("x", MaxPassword+1)); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestHashesOfOthersAreChecked(t *testing.T) {
	h := New()
	crypt, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	long, _ := bcrypt.GenerateFromPassword([]byte(strings.Repeat("x", 72)), bcrypt.MinCost)
	for _, c := range []struct {
		hash, plain string
		want        bool
	}{
		{string(crypt), "secret", true},
		{"$2b" + string(crypt[3:]), "secret", true},
		{string(crypt), "Secret", false},
		{string(long), strings.Repeat("x", 100), true}, // as node's bcrypt does
		// Of the reference implementation: argon2 -id -m 16 -t 2 -p 1, "somesalt".
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true},
	} {
		if ok, stale, err := h.Verify(t.Context(), c.hash, c.plain); ok != c.want || stale != ok && c.want || err != nil {
			t.Errorf("%.20s: %v %v %v", c.hash, ok, stale, err)
		}
	}
}

func TestWhatIsNoHashLetsNobodyIn(t *testing.T) {
	h := New()
	for _, hash := range []string{
		"", "secret", "$2a$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "$argon2id$", "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$", "$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		if ok, _, err := h.Verify(t.Context(), hash, "secret"); ok || err == nil {
			t.Errorf("%q: %v %v", hash, ok, err)
		}
	}
}

func TestAFloodWaitsInLine(t *testing.T) {
	h := New()
	for range cap(h.turns) {
		h.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, _, err := h.Verify(ctx, "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "x"); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

// FuzzParse wants that whatever is kept costs no more than it may.
func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, hash string) {
		if a, err := parse(hash); err == nil && (a.memory > maxMemory || a.passes > maxPasses || a.passes == 0 || a.threads == 0 || len(a.key) < 16) {
			t.Errorf("%+v", a)
		}
	})
}
