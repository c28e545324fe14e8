package rules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/rules"
)

// load reads a configuration with Check among its checks, as `edge check` does.
func load(t testing.TB, text string) (*config.Config, []config.Problem) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, config.Env{LookupEnv: func(name string) (string, bool) { return "SECRET-" + name, true }}, rules.Check)
}

// oneHost is a configuration of one host, with these lines in it.
func oneHost(lines string) string {
	return "data_dir: /tmp\ntls: {issuers: [local]}\ntarget_groups: {app: {targets: [http://127.0.0.1:1]}, next: {targets: [http://127.0.0.1:2]}}\nhosts:\n" +
		"  used.example.com: {default: {forward: {app: 1, next: 1}}}\n  example.com:\n" + lines
}

const notFound = "    default: {respond: {status: 404}}\n"

func TestCheck(t *testing.T) {
	rule := func(s string) string { return "    rules:\n      - {" + s + "}\n" + notFound }
	for name, c := range map[string]struct{ lines, want string }{
		"pattern":                  {rule(`path: "/a/{id", forward: app`), "8:16: path: \"/a/{id\" has a \"{\""},
		"second pattern":           {rule(`path: [/a, "/b/{x}y"], forward: app`), "8:21: path: \"/b/{x}y\" has a {name} that is not a whole segment"},
		"dots":                     {rule(`path: /a/../b, forward: app`), "never match"},
		"regex":                    {rule(`path_regex: "^/(a", forward: app`), "8:22: path_regex: \"^/(a\" is not a regular expression (RE2): missing closing )"},
		"lookahead":                {rule(`path_regex: "^/(?!a)", forward: app`), "is not a regular expression (RE2)"},
		"header":                   {rule(`header: {Connection: close}, forward: app`), "no rule sees it"},
		"header wildcard":          {rule(`header: {X-*: a}, forward: app`), "names have no wildcards"},
		"query":                    {rule(`query: {a: 'b\'}, forward: app`), `ends with "\"`},
		"redirect to itself":       {rule(`path: /a, redirect: {to: "https://#{host}/#{path}"}`), "has to change the protocol, host, port or path"},
		"redirect of the query":    {rule(`path: /a, redirect: {to: "?x=1"}`), "has to change the protocol, host, port or path"},
		"redirect to own name":     {rule(`path: /a, redirect: {to: "https://example.com"}`), "has to change the protocol, host, port or path"},
		"redirect to http":         {rule(`path: /a, redirect: {to: "http://other.org"}`), "https can't be redirected to http"},
		"redirect protocol":        {rule(`path: /a, redirect: {to: "ftp://other.org"}`), "protocol that is not http"},
		"redirect without":         {rule(`path: /a, redirect: {to: "other.org/x"}`), "is neither a whole URL"},
		"redirect keyword":         {rule(`path: /a, redirect: {to: "/#{paht}"}`), "unknown #{…}"},
		"redirect keyword's place": {rule(`path: /a, redirect: {to: "https://#{path}/"}`), "has #{path} where only host may stand"},
		"redirect port":            {rule(`path: /a, redirect: {to: "https://other.org:0/"}`), "has a port that is not 1 to 65535"},
		"redirect host":            {rule(`path: /a, redirect: {to: "https://-a-/"}`), "has no valid host"},
		"redirect bytes":           {rule(`path: /a, redirect: {to: "/a b"}`), "percent-encoded"},
		"redirect circle":          {rule(`path: /old/*, redirect: {to: /old/new}`), "in a circle: /old/x → /old/new"},
		"redirect growing":         {rule(`path: /old/*, redirect: {to: "/old/#{path}"}`), "in a circle: /old/x → /old/old/x"},
		"redirect of default":      {"    default: {redirect: {to: /login}}\n", "in a circle: /x → /login"},
		"rewrite regex":            {rule(`path: /a, forward: app, rewrite: {regex: "(", path: /b}`), "is not a regular expression"},
		"rewrite group":            {rule(`path: /a, forward: app, rewrite: {regex: "^/(a)", path: /$2}`), "refers to group 2"},
		"rewrite dollar":           {rule(`path: /a, forward: app, rewrite: {regex: "^/(a)", path: /$x}`), "is no reference"},
		"rewrite both":             {rule(`path: /a, forward: app, rewrite: {regex: "a", path: /b, host: b}`), "either path or host"},
		"rewrite path":             {rule(`path: /a, forward: app, rewrite: {path: "/a//../b"}`), "is refused"},
		"rewrite host":             {rule(`path: /a, forward: app, rewrite: {host: "a b"}`), "is not a hostname"},
		"cors credentials":         {rule(`path: /a, forward: app, cors: {origins: ["*"], credentials: true}`), "list"},
		"cors origin":              {rule(`path: /a, forward: app, cors: {origins: ["https://a.b:443"]}`), "default port"},
		"cors scheme":              {rule(`path: /a, forward: app, cors: {origins: ["ftp://a.b"]}`), "is not an origin"},
		"cors headers":             {rule(`path: /a, forward: app, cors: {origins: ["https://a.b"], headers: ["*"], credentials: true}`), "list the headers"},
		"auth hash":                {rule(`path: /a, forward: app, auth: {basic: {a: $2y$10$abc}}`), "begins as a bcrypt hash does but is none"},
		"auth cost":                {rule(`path: /a, forward: app, auth: {basic: {a: "$2y$31$` + strings.Repeat("a", 53) + `"}}`), "bcrypt cost 31"},
		"alias of another host":    {notFound + "    aliases: [used.example.com]\n", "used.example.com"},
		"two actions":              {rule("path: /a, respond: {status: 200}, redirect: {to: /b}"), "respond"},
		"a secret is not shown":    {rule(`path_regex: "(${KEY}", forward: app`), "path_regex: the value of ${…} is not a regular expression"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := load(t, oneHost(c.lines))
			var all strings.Builder
			for _, p := range problems {
				all.WriteString(p.Error() + "\n")
			}
			if !strings.Contains(all.String(), c.want) {
				t.Errorf("%q is not among\n%s", c.want, &all)
			}
			if strings.Contains(all.String(), "SECRET") {
				t.Errorf("a secret in %s", &all)
			}
			if len(problems) > 1 {
				t.Errorf("more than one problem:\n%s", &all)
			}
		})
	}
}

func TestGoodConfigurationsHaveNoProblem(t *testing.T) {
	for name, lines := range map[string]string{
		"redirect out of its rule":     "    rules:\n      - {path: /old/*, redirect: {to: \"https://#{host}/new\"}}\n" + notFound,
		"redirect of default":          "    rules:\n      - {path: /login, forward: app}\n    default: {redirect: {to: /login}}\n",
		"redirect to the health path":  "    health: /up\n    default: {redirect: {to: /up}}\n",
		"redirect once by a header":    "    rules:\n      - {path: /*, header: {X: a}, redirect: {to: /x}}\n" + notFound,
		"redirect to another host":     "    default: {redirect: {to: \"https://www.#{host}/#{path}\"}}\n",
		"redirect http to https":       "    tls: off\n    default: {redirect: {to: \"https://#{host}\"}}\n",
		"redirect to another port":     "    default: {redirect: {to: \"https://#{host}:8443/#{path}\"}}\n",
		"redirect of what is no GET":   "    rules:\n      - {path: /form, method: POST, redirect: {to: /form, status: 303}}\n" + notFound,
		"rule behind a narrower one":   "    rules:\n      - {path: /a/*, method: GET, forward: app}\n      - {path: /a/*, forward: next}\n" + notFound,
		"rule for preflights":          "    rules:\n      - {method: PUT, forward: app}\n      - {method: PUT, forward: next, cors: {origins: [\"https://a.b\"]}}\n" + notFound,
		"rule behind another's header": "    rules:\n      - {path: /a/*, header: {X: a}, forward: app}\n      - {path: /a/*, header: {Y: a}, forward: next}\n" + notFound,
	} {
		if _, problems := load(t, oneHost(lines)); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestUnreachableRules(t *testing.T) {
	for name, c := range map[string]string{
		"path":   "      - {path: /a/*, forward: app}\n      - {path: [/a/b, /a/c/*], method: GET, forward: next}\n",
		"method": "      - {method: [GET, POST], forward: app}\n      - {path: /b, method: POST, forward: next}\n",
		"source": "      - {source_ip: 10.0.0.0/8, forward: app}\n      - {source_ip: 10.1.0.0/16, forward: next}\n",
		"header": "      - {header: {x-a: \"v*\"}, forward: app}\n      - {header: {X-A: [v1, v2]}, forward: next}\n",
		"query":  "      - {query: {a: \"*\"}, forward: app}\n      - {query: {A: b}, forward: next}\n",
		"regex":  "      - {path_regex: [^/a, ^/b], forward: app}\n      - {path_regex: ^/b, path: /b*, forward: next}\n",
	} {
		_, problems := load(t, oneHost("    rules:\n"+c+notFound))
		if len(problems) != 1 || !problems[0].Warning || problems[0].Line != 9 || !strings.Contains(problems[0].Message, "rule 1 (") {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestBuildRefusesWhatCheckDoes(t *testing.T) {
	cfg := host(config.Host{Rules: []config.Rule{named("a", config.Rule{PathRegex: []string{"("}})}})
	if _, err := rules.Build(cfg, &actions{}); err == nil {
		t.Error("a bad regex was built")
	}
	cfg = host(config.Host{Default: &config.Rule{}})
	if _, err := rules.Build(cfg, &actions{}); err == nil || !strings.Contains(err.Error(), "exactly one action") {
		t.Error(err)
	}
}
