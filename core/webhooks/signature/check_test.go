package signature

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
)

// checked are the problems of a source, as a person reads them.
func checked(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte("plugins:\n  p: {command: /bin/true}\nwebhooks:\n  a:\n    "+strings.ReplaceAll(source, "\n", "\n    ")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file, config.Env{})
	for _, p := range problems {
		if !p.Warning && strings.Contains(p.Message, "webhook") {
			t.Fatalf("%s: %v", source, p)
		}
	}
	var said []string
	for _, p := range Check(cfg) {
		said = append(said, strings.TrimPrefix(p.Error(), file+":"))
	}
	return strings.Join(said, "\n")
}

func TestCheckSaysWhatASecretCantBeAndWhere(t *testing.T) {
	key64 := strings.Repeat("ab", 32)
	for source, want := range map[string]string{
		"verify: standard\nsecret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":                        "",
		"verify: standard\nsecrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, 'whsec_not base64']": "6:55: the secret is whsec_ and Base64",
		"verify: standard\nsecret: whpk_AAAA":                                                     "6:13: whpk_ is followed by the 32 bytes",
		"verify: standard\nsecret: whsk_AAAA":                                                     "6:13: whsk_… is the key that the source signs with",
		"verify: standard\nsecret: MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":                              "6:13: warning: the secret of Standard Webhooks begins with whsec_",
		"verify: discord\nsecret: " + key64:                                                       "",
		"verify: discord\nsecret: hunter2":                                                        "6:13: the secret of discord is the application's public key: 32 bytes in hexadecimal",
		"verify: discord\nsecret: '" + key64[:62] + "'":                                           "6:13: the secret of discord",
		"verify: sendgrid\nsecret: hunter2!":                                                      "6:13: the secret of sendgrid is the verification key",
		"verify: sendgrid\nsecret: MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=":  "6:13: the secret of sendgrid is a public key of the curve P-256",
		"verify: stripe\nsecret: sk_live_hunter2":                                                 "6:13: this is a key of Stripe's API",
		"verify: stripe\nsecret: hunter2":                                                         "6:13: warning: the secret of an endpoint of Stripe begins with whsec_",
		"verify: github\nsecret: ' hunter2'":                                                      "6:13: warning: the secret begins or ends with white space",
		"verify: github\nsecrets: [hunter2, hunter2]":                                             "warning: both secrets are the same",
		"verify: basic\nsecret: hunter2":                                                          "6:13: the secret of basic is USER:PASSWORD",
		"verify: bearer\nsecret: hunter2":                                                         "warning: the secret is sent as it is",
		"verify: paypal\nsecret: 'a|b'":                                                           "6:13: the secret of paypal is the webhook's id",
		"verify: meta\nsecret: hunter2":                                                           "warning: Meta says a token",
		"verify: sns\ntopics: ['arn:aws:sns:eu-west-1:123456789012:*']":                           "",
		"verify: sns\ntopics: ['arn:aws:sqs:eu-west-1:123456789012:x']":                           "6:14: this can't be the ARN of a topic",
		"verify: sns\ntopics: ['arn:aws:sns:*:*:orders']":                                         "6:14: warning: anybody's topic",
		"verify: {hmac: {header: X, signed: 'v0'}}\nsecret: hunter2":                              "5:40: signed has {body} in it once",
		"verify: {hmac: {header: X, id: 'a..b'}}\nsecret: hunter2":                                "5:36: a path is names with dots between them",
		"verify: {hmac: {header: X, type: 'header:a b'}}\nsecret: hunter2":                        "header: needs the name of a field",
		"verify: {hmac: {header: X, algorithm: sha1}}\nsecret: hunter2":                           "warning: SHA-1",
		"verify: none\nplugin: p\nfifo: a..b":                                                     "7:11: a path is names with dots between them",
	} {
		got := checked(t, source)
		if got != want && (want == "" || !strings.Contains(got, want)) || strings.Contains(got, "\n") {
			t.Errorf("%s:\n%s\nwant %s", source, got, want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("a secret is shown: %s", got)
		}
	}
}

func TestCheckSaysNothingOfASecretWhoseUseIsNotKnown(t *testing.T) {
	c := &config.Config{Webhooks: map[string]config.Webhook{"s": {Secret: "hunter2"}}}
	if problems := Check(c); len(problems) > 0 {
		t.Error(problems)
	}
}
