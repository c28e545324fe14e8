package api

import (
	"os"
	"testing"

	"github.com/onehost/edge/core/config"
)

func TestWhatIsWrongWithContentTypesHasItsPlace(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		cfg, problems := config.Load("edge.yaml", config.Env{})
		if cfg == nil {
			t.Fatal(problems)
		}
		if problems = Check(cfg); len(problems) != 1 || problems[0].Error() != want {
			t.Errorf("%v, want %s", problems, want)
		}
	}
	write("edge.yaml", "listen: {http: 127.0.0.1:0}\napi:\n  schemas: ./types\nhosts:\n  a.example.com: {tls: off, default: {api: true}}\n")
	check("edge.yaml:3:12: types: no such file or directory")
	if err := os.Mkdir("types", 0o700); err != nil {
		t.Fatal(err)
	}
	check("edge.yaml:3:12: types: there is no content type in this folder: neither a NAME.json nor a NAME.yaml")
	write("types/goal.yaml", "kind: collectionType\ninfo: {singularName: goal, pluralName: goals}\nattributes:\n  title: {type: strin}\n")
	check(`types/goal.yaml:4:17: "strin" is no type of an attribute; did you mean "string"?`)
}
