package captcha

import (
	"strings"
	"testing"
)

// unclear are answers that are no yes, and no no either.
var unclear = []string{
	``, `null`, `true`, `[]`, `{}`, `{"success":"true"}`, `{"success":1}`, `{"success":null}`, `{"Success":true}`,
	`{"success":true}{"success":true}`, `{"success":true} x`, `{"success":false,"success":true}`, `{"success":true`, `{"success":true,}`,
	`{"success":true,"error-codes":["x"]}`, `{"success":true,"error-codes":"x"}`, `{"success":true,"hostname":1}`, `{"success":true,"action":[]}`,
	`{"success":true,"score":"0.9"}`, `{"success":true,"score":1.1}`, `{"success":true,"score":-0.1}`, `{"success":true,"score":1e999}`,
	`{"success":true,"x":` + strings.Repeat("[", 20000) + `}`,
}

func TestAnAnswerIsClearOrNone(t *testing.T) {
	for _, text := range unclear {
		if a, err := readAnswer([]byte(text)); err == nil {
			t.Errorf("%.60s: %+v", text, a)
		}
	}
	for text, want := range map[string]bool{
		`{"success":true}`: true, ` {"success": true, "hostname":null,"action":null,"score":null,"error-codes":null,"metadata":{"interactive":false}} `: true,
		`{"success":false}`: false, `{"success":false,"error-codes":["x","y"]}`: false,
	} {
		if a, err := readAnswer([]byte(text)); err != nil || a.success != want {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
}

// FuzzAnswer: whatever a provider says, only one "success":true, by itself, is a person.
func FuzzAnswer(f *testing.F) {
	for _, text := range unclear {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"success":true,"score":0.3,"action":"contact","hostname":"example.com","challenge_ts":"2026-11-23T20:00:00Z"}`))
	f.Add([]byte(`{"success":false,"error-codes":["timeout-or-duplicate"]}`))
	v := &Verifier{provider: reCAPTCHA, score: 0.5, action: "contact", hostnames: []string{"example.com"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := readAnswer(body)
		if err != nil {
			return
		}
		verdict, err := v.judge(a)
		switch {
		case verdict.Person && (err != nil || !a.success || len(a.codes) > 0 || a.action != "contact" || !strings.EqualFold(strings.TrimSuffix(a.hostname, "."), "example.com")):
			t.Errorf("%q is a person: %+v", body, a)
		case err == nil && !verdict.Person && verdict.Reason == "":
			t.Errorf("%q is no person for no reason", body)
		case verdict.Doubt != (verdict.Reason == Score):
			t.Errorf("%q: %+v", body, verdict)
		}
	})
}
