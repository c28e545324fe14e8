package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// command runs a command line and returns its exit status and what it printed.
func command(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	status = execute(t.Context(), args, &o, &e)
	return status, o.String(), e.String()
}

func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	os.WriteFile(good, []byte("tls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {body: x}}}}\n"), 0o644)
	os.WriteFile(bad, []byte("tls: {issuers: [local]}\nhots: {}\nhosts: {localhost: {default: {forward: nowhere}}}\n"), 0o644)
	tests := []struct {
		args   string
		status int
		out    string // held by stdout
		err    string // held by stderr
	}{
		{"", 0, "edge init && edge run", ""},
		{"--help", 0, "edge terminates HTTPS", ""},
		{"version", 0, "edge ", ""},
		{"completion bash", 0, "bash completion", ""},
		{"frobnicate", 2, "", "unknown command"},
		{"check --frobnicate", 2, "", "unknown flag"},
		{"explain", 2, "", "needs a URL"},
		{"check -c " + good, 0, "good: 1 host", ""},
		{"check -c " + bad, 2, "", bad + `:2:1: unknown key "hots"; did you mean "hosts"?`},
		{"check -c " + bad, 2, "", bad + ":3:"},
		{"check -c " + dir + "/none.yaml", 2, "", "none.yaml"},
		{"run -c " + bad, 2, "", "hots"},
		{"explain -c " + good + " https://localhost/x", 0, "respond", ""},
		{"explain -c " + good + " /x", 2, "", "not a whole URL"},
		{"explain -c " + good + " -H nonsense https://localhost/", 2, "", "Name: value"},
		{"status -c " + good, 1, "", "no edge is running"},
		{"reload --admin " + dir + "/no.sock", 1, "", "no edge is running"},
		{"trust -c " + good, 1, "", "no local CA"},
		{"targets drain onlyone", 2, "", "needs a target group and a URL"},
		{"check edge.yaml", 2, "", "-c FILE"},
		{"--version", 0, "edge version", ""},
		{"trust --install --uninstall", 2, "", "at once"},
		{"init -c " + good, 1, "", "exists already"},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			status, out, errOut := command(t, strings.Fields(test.args)...)
			if status != test.status || !strings.Contains(out, test.out) || !strings.Contains(errOut, test.err) {
				t.Errorf("status %d, want %d\nstdout: %s\nstderr: %s", status, test.status, out, errOut)
			}
			if status != 0 && out != "" {
				t.Errorf("a failed command printed on stdout: %s", out)
			}
		})
	}
}

// TestEveryCommandHelps holds the promise that every command has --help with an example.
func TestEveryCommandHelps(t *testing.T) {
	root := new(cli).root()
	for _, sub := range root.Commands() {
		if sub.Short == "" || sub.Example == "" {
			t.Errorf("edge %s has no example or no description", sub.Name())
		}
		if status, out, _ := command(t, sub.Name(), "--help"); status != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("edge %s --help: %d %s", sub.Name(), status, out)
		}
	}
}

// TestCheckWarnsOfFolders looks at what only the machine can tell.
func TestCheckWarnsOfFolders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "edge.yaml")
	os.WriteFile(filepath.Join(dir, "data"), []byte("a file"), 0o644)
	os.WriteFile(file, []byte("data_dir: ./data\nlog: {access: ./no/such/access.log}\ntls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {body: x}}}}\n"), 0o644)
	status, _, errOut := command(t, "check", "-c", file)
	for _, want := range []string{"edge.yaml:1:", "is no folder", "edge.yaml:2:", "no/such"} {
		if status != 0 || !strings.Contains(errOut, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, errOut)
		}
	}
}

func TestInitServes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conf", "edge.yaml")
	if status, out, errOut := command(t, "init", "-c", file); status != 0 || !strings.Contains(out, "edge run") {
		t.Fatalf("%d %s %s", status, out, errOut)
	}
	if status, _, errOut := command(t, "check", "-c", file); status != 0 || errOut != "" {
		t.Errorf("check: %d %s", status, errOut)
	}
}

func TestSampleConfigurationsAreValid(t *testing.T) {
	schema := compileSchema(t)
	files, err := filepath.Glob("../deploy/*/edge.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range append(files, "starter/edge.yaml") {
		cfg, problems := config.Load(file, config.Env{})
		if len(problems) > 0 {
			t.Errorf("%s: %v", file, problems)
		}
		if cfg != nil && cfg.Hosts["localhost"].Default == nil {
			t.Errorf("%s does not serve localhost", file)
		}
	}
	if err := schema.Validate(map[string]any{"hots": 1.0}); err == nil {
		t.Error("the schema takes an unknown key")
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	status, out, _ := command(t, "check", "--schema")
	if status != 0 {
		t.Fatalf("check --schema: %d", status)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("edge.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("edge.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestCheckJSON(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "edge.yaml")
	os.WriteFile(bad, []byte("hots: {}\n"), 0o644)
	status, out, errOut := command(t, "check", "--json", "-c", bad)
	var problems []struct {
		File    string
		Line    int
		Col     int
		Message string
		Warning bool
	}
	if err := json.Unmarshal([]byte(out), &problems); err != nil || status != 2 || errOut != "" {
		t.Fatalf("%d %v\n%s%s", status, err, out, errOut)
	}
	if len(problems) == 0 || problems[0].Line != 1 || !strings.Contains(problems[0].Message, "hots") {
		t.Errorf("%+v", problems)
	}
}

// TestOperatorCommands asks a running server by the command line.
func TestOperatorCommands(t *testing.T) {
	one, two := app(t, "one"), app(t, "two")
	s := serve(t, oneGroup, "APP", one.URL, "NOTE", "first")
	on := func(args ...string) string {
		t.Helper()
		status, out, errOut := command(t, append(args, "-c", s.file)...)
		if status != 0 {
			t.Fatalf("edge %s: %d %s", strings.Join(args, " "), status, errOut)
		}
		return out
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"status"}, "serving"},
		{[]string{"certs"}, "note.localhost"},
		{[]string{"trust"}, "localhost"},
		{[]string{"targets"}, one.URL},
		{[]string{"targets", "add", "api", two.URL}, ""},
		{[]string{"targets"}, two.URL},
		{[]string{"targets", "remove", "api", one.URL}, ""},
	} {
		if out := on(test.args...); !strings.Contains(out, test.want) {
			t.Errorf("edge %v: no %q in\n%s", test.args, test.want, out)
		}
	}
	client := s.client("h1")
	awaitHealthy(t, s, two.URL)
	if got := fetch(t, client, "GET", "https://api.localhost/", ""); got.Header.Get("X-App") != "two" {
		t.Errorf("answered by %q: %s", got.Header.Get("X-App"), got.text)
	}
	for _, args := range [][]string{{"status", "--json"}, {"certs", "--json"}, {"targets", "--json"}, {"trust", "--json"}, {"reload", "--json"}} {
		if out := on(args...); !json.Valid([]byte(out)) {
			t.Errorf("edge %v prints no JSON: %s", args, out)
		}
	}
	if status, _, errOut := command(t, "targets", "add", "nowhere", two.URL, "-c", s.file); status != 1 || !strings.Contains(errOut, "nowhere") {
		t.Errorf("unknown group: %d %s", status, errOut)
	}
	s.write("hosts: {}\nhots: {}\n")
	if status, _, errOut := command(t, "reload", "-c", s.file); status != 2 || !strings.Contains(errOut, "hots") || !strings.Contains(errOut, "^") {
		t.Errorf("bad reload: %d %s", status, errOut)
	}
}
