package accounts

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

func opened(t testing.TB, address string) store.Store {
	t.Helper()
	return enginetest.Opened(t, address)
}

// header is what a JWT says of itself.
func header(t testing.TB, jwt string) map[string]any {
	t.Helper()
	return part(t, jwt, 0)
}

func part(t testing.TB, jwt string, n int) (said map[string]any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	return said
}
