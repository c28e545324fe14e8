package cert

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ZeroSSL answers an e-mail address with the credentials of a new account, or says what it has against it.
func TestCredentialsByEmail(t *testing.T) {
	for answer, want := range map[string]string{
		`{"success":true,"eab_kid":"kid","eab_hmac_key":"hmac"}`:                 "",
		`{"success":false,"error":{"code":2911,"type":"user_\u001b[31mbanned"}}`: "user_ [31mbanned",
		`{"success":true}`: "refused",
		`<html>`:           "eab credentials: 200 OK",
		`{"success":true,"eab_kid":"` + strings.Repeat("k", maxAnswer): "eab credentials",
	} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.FormValue("email"); got != "ops+edge@example.com" {
				t.Errorf("email %q", got)
			}
			io.WriteString(w, answer)
		}))
		client := &http.Client{Transport: transport{s.Client().Transport}}
		eab, err := bindingByEmail(t.Context(), client, s.URL, "ops+edge@example.com")
		s.Close()
		switch {
		case want == "" && (err != nil || eab.KeyID != "kid" || eab.MACKey != "hmac"):
			t.Errorf("%+v, %v", eab, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60s: %v, want %q", answer, err, want)
		}
	}
}
