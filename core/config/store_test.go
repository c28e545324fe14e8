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
