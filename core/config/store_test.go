package config

import (
	"strings"
	"testing"
)

func TestStoreIsSQLiteUnlessItIsSaid(t *testing.T) {
	c, _ := mustLoad(t, "", Env{})
	if !c.Store.Embedded() || c.Store.String() != "sqlite" {
		t.Errorf("%+v", c.Store)
	}
	c, _ = mustLoad(t, "store: mongodb://db1,db2:27018/edge?replicaSet=rs0", Env{})
	if c.Store.Embedded() || c.Store.String() != "mongodb://db1,db2:27018/edge" {
		t.Errorf("%+v", c.Store)
	}
}

func TestStoreIsNamedWithoutItsSecrets(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://edge:p%40ss@db1/edge?replicaSet=rs0":                    "mongodb://db1/edge",
		"mongodb+srv://edge:hunter2@cluster.example.com":                   "mongodb+srv://cluster.example.com",
		"mongodb://db1/edge?authMechanismProperties=AWS_SESSION_TOKEN:abc": "mongodb://db1/edge",
	} {
		if got := (Store{URI: uri}).String(); got != want {
			t.Errorf("%s is named %s", uri, got)
		}
	}
}

const oneHost = "\nhosts: {a.example.com: {tls: off, default: {respond: {}}}}"

func TestAUserInTheFileIsWarnedOf(t *testing.T) {
	for _, text := range []string{"store: mongodb://edge:hunter2@db1/edge", "store: {uri: mongodb://edge:hunter2@db1/edge}"} {
		_, problems, _ := load(t, text+oneHost, Env{})
		if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Message, "user stands in the URI") || strings.Contains(problems[0].Message, "hunter2") {
			t.Errorf("%s: %v", text, problems)
		}
	}
	_, problems, _ := load(t, "store: ${DB}"+oneHost, Env{LookupEnv: func(string) (string, bool) { return "mongodb://edge:hunter2@db1/edge", true }})
	if len(problems) != 0 {
		t.Errorf("%v", problems)
	}
}

func TestALineWithASecretIsNeverShown(t *testing.T) {
	for _, text := range []string{
		"store: {uri: mongodb://db1/edge, user: e, pasword: hunter2}", "store: {url: mongodb://edge:hunter2@db1/edge}", "store: {uri: mongodb://db1/edge, user: e, password: [hunter2]}",
		"store: {uri: mongodb://db1/edge, password: hunter2}", "store: {uri: mongodb://db1/edge, user: 1, password: hunter2}", "store: mongodb://edge:hun?ter2@db1/edge", "store: {password: hunter2, uri: sqlte}",
	} {
		c, problems, _ := load(t, text+oneHost, Env{})
		var shown strings.Builder
		if err := Format(&shown, problems); err != nil || c != nil || strings.Contains(shown.String(), "ter2") {
			t.Errorf("%s: %v\n%s", text, err, shown.String())
		}
	}
	c, _, _ := load(t, "store: mongodb://edge:hunter2@db1/edge"+oneHost, Env{})
	var shown strings.Builder
	if err := Format(&shown, []Problem{c.Problem("moved", "store")}); err != nil || strings.Contains(shown.String(), "hunter2") {
		t.Errorf("%v\n%s", err, shown.String())
	}
}
