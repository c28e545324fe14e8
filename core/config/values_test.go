package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// load loads a text as edge.yaml in a folder of its own.
func load(t *testing.T, text string, env Env) (*Config, []Problem, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := Load(file, env)
	return c, problems, filepath.Dir(file)
}

// mustLoad loads a text that has no problem but warnings.
func mustLoad(t *testing.T, text string, env Env) (*Config, string) {
	t.Helper()
	c, problems, dir := load(t, text, env)
	if c == nil {
		t.Fatal(problems)
	}
	return c, dir
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is\n%+v, want\n%+v", what, got, want)
	}
}

func TestValues(t *testing.T) {
	c, problems := Load("testdata/everything.good.yaml", testEnv())
	if c == nil {
		t.Fatal(problems)
	}
	here := mustAbs("testdata")
	equal(t, "data_dir", c.DataDir, "/var/lib/edge")
	equal(t, "shutdown", c.Shutdown, 36*time.Hour)
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	equal(t, "store", c.Store, Store{
		URI:  "mongodb://db1.internal,db2.internal:27018,db3.internal/planner?replicaSet=rs0&tls=true",
		User: "edge", Password: "c2VjcmV0LW9mLXRoZS1hY2NvdW50", Key: string(key),
	})
	equal(t, "listen", c.Listen, Listen{
		HTTP: []string{":80"}, HTTPS: []string{":443", "[::1]:8443", "localhost:9443"}, PublicPort: 443,
		Admin: "unix:" + here + "/run/admin.sock", AdminGroup: "www-data", Metrics: "127.0.0.1:9180",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("192.0.2.1/32")},
		ProxyProtocol:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	equal(t, "log", c.Log, Log{Level: slog.LevelDebug, Access: here + "/log/access.log", Query: true})
	equal(t, "tls", c.TLS, TLS{
		Email: "ops@bücher.example.com",
		Issuers: []Issuer{
			{Name: Local}, {Name: ZeroSSL}, {Name: LetsEncrypt, Challenges: []string{DNS01}},
			{
				Directory: "https://ca.internal:14000/dir", CA: here + "/certs/ca.pem", EAB: &EAB{"1", "c2VjcmV0LW9mLXRoZS1hY2NvdW50"},
				Challenges: []string{HTTP01, TLSALPN01, DNS01},
			},
		},
		CheckInterval: 5 * time.Minute, DNS: DNS{&Route53{"Z0123456789ABCDEFGHIJ"}},
	})
	equal(t, "tls of a host", c.Hosts["*.example.org"].TLS, HostTLS{Issuers: []Issuer{{Name: LetsEncrypt}}, ClientCA: here + "/certs/clients.pem"})
	equal(t, "site", c.Sites["app"], Site{Root: here + "/web", SPA: true, CSP: CSP{Sources: map[string][]string{
		"connect": {"https://api.example.com", "'self'"}, "img": {"data:"},
	}}})
	equal(t, "csp off", c.Sites["plain"].CSP, CSP{Off: true})
	equal(t, "root in an included file", c.Sites["more"].Root, here+"/more")
	equal(t, "group", c.TargetGroups["strapi"], TargetGroup{
		Targets: []Target{
			{"http://127.0.0.1:1337", 1}, {"https://app.internal", 3}, {"h2c://[::1]:50051", 1}, {"unix:" + here + "/run/app.sock", 1},
		},
		Algorithm: "least_outstanding", Drain: time.Minute, WhenAllUnhealthy: "fail", Stickiness: &Stickiness{"STUCK", 7 * 24 * time.Hour},
		Health: Health{
			Path: "/_health?full=1", Interval: 10 * time.Second, Timeout: 2 * time.Second, Healthy: 3, Unhealthy: 4,
			Status: []StatusRange{{200, 200}, {300, 302}},
		},
	})
	equal(t, "health off", c.TargetGroups["strapi-next"].Health.Off, true)
	equal(t, "status list", c.TargetGroups["bare"].Health.Status, []StatusRange{{200, 200}, {204, 204}, {301, 308}})
	equal(t, "limits", c.Hosts["example.com"].Limits, Limits{Concurrency: 512, Rate: Rate{50, time.Second}, Burst: 100, Body: 10 << 20, Idle: 90 * time.Second})
	rules := c.Hosts["example.com"].Rules
	equal(t, "weights", rules[1].Forward, map[string]int{"strapi": 90, "strapi-next": 10})
	equal(t, "rule", rules[2], Rule{
		PathRegex: []string{"^/v[0-9]+/"}, Method: []string{"GET", "POST"},
		Header: map[string][]string{"X-Level": {"1", "2.5", "true"}}, Query: map[string][]string{"debug": {"*"}, "": {"", "a"}},
		SourceIP: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Forward: map[string]int{"bare": 1},
		Rewrite: &Rewrite{Path: "/api/$1", Regex: "^/v([0-9]+)/"},
		Headers: &HeaderChanges{
			Request:  FieldChanges{Set: map[string]string{"X-Api": "k-123"}, Add: map[string]string{"X-Via": "edge"}, Remove: []string{"X-Debug"}},
			Response: FieldChanges{Remove: []string{"Server"}},
		},
		Limits: Limits{Concurrency: 4, Rate: Rate{300, time.Minute}, Burst: 5, Body: 65536},
		CORS: &CORS{
			Origins: []string{"https://app.example.com", "https://*.example.com:8443"}, Methods: []string{"GET", "PUT"},
			Headers: []string{"X-Api"}, Credentials: true, Expose: []string{"X-Total"}, MaxAge: 10 * time.Minute,
		},
		Auth: &Auth{Basic: map[string]string{"alice": "secret-of-alice", "bob": "$2y$05$.wS3rKfxVJLzyEUDiQ4ICuZV.b8Qf6wQ8Ay9ZIFLkjhB1jLSVYqNW"}},
	})
	for _, name := range []string{"*.example.org", "xn--bcher-kva.example", "192.0.2.10", "2001:db8::1", "*", "more.example.com"} {
		if _, ok := c.Hosts[name]; !ok {
			t.Errorf("there is no host %s", name)
		}
	}
	equal(t, "literal", c.Hosts["2001:db8::1"].Default.Respond.Body, "${literal}")
	equal(t, "what authenticated may do", c.API.Permissions["authenticated"], []string{"article.*", "upload.create"})
	equal(t, "a filter", c.API.Access["article"].FindOne.Value, any(map[string]any{"views": map[string]any{"$between": []any{int64(1), 9.5}}, "flag": []any{true, nil, "true"}}))
	equal(t, "an expanded filter", c.API.Access["article"].Delete.Value, any(map[string]any{"author": map[string]any{"$eq": "$user.id"}}))
	equal(t, "sessions", c.API.Sessions, APISessions{Refresh: true, Access: 5 * time.Minute, Idle: 24 * time.Hour, Max: 240 * time.Hour})
	equal(t, "where uploads are kept", c.API.Uploads.S3.Bucket, "files")
	equal(t, "files", c.Files, []string{"testdata/everything.good.yaml", "testdata/conf.d/10-more.yaml"})
}

func TestDefaults(t *testing.T) {
	c, dir := mustLoad(t, `
tls: {issuers: [local]}
target_groups: {g: {targets: ["http://a:1"], stickiness: {}}, quick: {health: {interval: 2s}}}
hosts: {a.example.com: {limits: {rate: 90/m}, default: {respond: {}, cors: {origins: "*"}}}}
`, Env{})
	equal(t, "data_dir", c.DataDir, dir+"/data")
	equal(t, "shutdown", c.Shutdown, 30*time.Second)
	equal(t, "listen", c.Listen, Listen{HTTP: []string{":80"}, HTTPS: []string{":443"}, H3: true, PublicPort: 443, Admin: "unix:" + dir + "/data/admin.sock"})
	equal(t, "log", c.Log, Log{Access: "stdout"})
	equal(t, "tls", c.TLS, TLS{Issuers: []Issuer{{Name: Local}}, CheckInterval: 10 * time.Minute})
	equal(t, "group", c.TargetGroups["g"], TargetGroup{
		Targets: []Target{{"http://a:1", 1}}, Algorithm: "round_robin", Drain: 300 * time.Second, WhenAllUnhealthy: "forward",
		Stickiness: &Stickiness{"EDGESESSION", 24 * time.Hour},
		Health:     Health{Path: "/", Interval: 30 * time.Second, Timeout: 5 * time.Second, Healthy: 5, Unhealthy: 2, Status: []StatusRange{{200, 200}}},
	})
	equal(t, "timeout of quick checks", c.TargetGroups["quick"].Health.Timeout, 2*time.Second)
	equal(t, "limits", c.Hosts["a.example.com"].Limits, Limits{Rate: Rate{90, time.Minute}, Burst: 1, Idle: time.Minute})
	equal(t, "default", *c.Hosts["a.example.com"].Default, Rule{
		Respond: &Respond{Status: 200, Type: "text/plain; charset=utf-8"}, CORS: &CORS{Origins: []string{"*"}, Methods: []string{"GET", "HEAD", "POST"}},
	})

	c, _ = mustLoad(t, "listen: {http: [], https: \":8443\"}", Env{StateDirectory: "/var/lib/edge:/var/lib/other"})
	equal(t, "public_port", c.Listen.PublicPort, 8443)
	equal(t, "http: []", len(c.Listen.HTTP), 0)
	equal(t, "data_dir of the service", c.DataDir, "/var/lib/edge")
}

func TestExpansion(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"line": "one\n", "lines": "one\n\n", "yaml": "a: [b]\n# c", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	variables := map[string]string{"ONE": "one", "EMPTY": "", "INJECT": "x, y: {z: 1} # \n- a"}
	env := Env{Credentials: dir, LookupEnv: func(name string) (string, bool) { v, ok := variables[name]; return v, ok }}
	for _, tt := range []struct{ text, want string }{
		{"plain", "plain"},
		{"${ONE}", "one"},
		{"<${ONE}${ONE}>", "<oneone>"},
		{"${EMPTY}", ""},
		{"${EMPTY:-two}", "two"},
		{"${NONE:-two}", "two"},
		{"${NONE:-}", ""},
		{"${ONE:-two}", "one"},
		{"$ONE $$ $", "$ONE $$ $"},
		{"$${ONE}", "${ONE}"},
		{"$$${ONE}", "$${ONE}"},
		{"${INJECT}", variables["INJECT"]},
		{"${credential:line}", "one"},
		{"${credential:lines}", "one\n"},
		{"${credential:yaml}", "a: [b]\n# c"},
		{"${credential:empty}", ""},
		{"${file:" + dir + "/line}", "one"},
	} {
		c, problems, _ := load(t, "hosts: {a: {tls: off, default: {respond: {body: '"+tt.text+"'}}}}", env)
		if c == nil {
			t.Errorf("%s: %v", tt.text, problems)
			continue
		}
		equal(t, tt.text, c.Hosts["a"].Default.Respond.Body, tt.want)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"large": 900 << 10, "huge": maxExpanded + 1} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, tt := range []struct{ value, want string }{
		{"'${credential:huge}'", "larger than 1024 KiB"},
		{"'${credential:large}${credential:large}'", "larger than 1024 KiB"},
		{"['" + strings.Repeat("${credential:large}', '", 20) + "']", "larger than 8 MiB"},
		{"'${file:/dev/zero}'", "not a regular file"},
		{"'${file:" + dir + "}'", "not a regular file"},
	} {
		_, problems, _ := load(t, "hosts: {a: {tls: off, rules: [{query: {a: "+tt.value+"}, respond: {}}], default: {respond: {}}}}", Env{Credentials: dir})
		if len(problems) == 0 || !strings.Contains(problems[len(problems)-1].Message, tt.want) {
			t.Errorf("%.40s: %v, want %q", tt.value, problems, tt.want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "1.5h": 90 * time.Minute, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond,
	} {
		c, _ := mustLoad(t, "shutdown: "+text, Env{})
		equal(t, text, c.Shutdown, want)
	}
	for _, text := range []string{"''", "5", "-5s", "5 s", "1h1d", "d", "1y", "1.5d", "99999999d", "36501d", "9999999999999999999s", "2562047h48m", "1d1", "0x5s"} {
		if c, _, _ := load(t, "shutdown: "+text, Env{}); c != nil {
			t.Errorf("%s is taken for %s", text, c.Shutdown)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "65536": 65536, "5B": 5, "64KiB": 64 << 10, "10MiB": 10 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40, "1KB": 1000, "3MB": 3e6, "1GB": 1e9, "1TB": 1e12,
	} {
		c, _ := mustLoad(t, "hosts: {a: {tls: off, limits: {body: "+text+"}, default: {respond: {}}}}", Env{})
		equal(t, text, c.Hosts["a"].Limits.Body, want)
	}
	for _, text := range []string{"''", "-1", "1.5MiB", "1K", "1mib", "0x10", "010", "9999999TiB", "99999999999999999999", "1 KiB", "KiB"} {
		if c, _, _ := load(t, "hosts: {a: {tls: off, limits: {body: "+text+"}, default: {respond: {}}}}", Env{}); c != nil {
			t.Errorf("%s is taken for %d", text, c.Hosts["a"].Limits.Body)
		}
	}
}

func TestPlaces(t *testing.T) {
	c, _ := mustLoad(t, `tls: {issuers: [local]}
hosts:
  "A.example.com":
    rules:
      - {path: /é, method: GET, respond: {}}
      - path: /x
        header: {X-A: b}
        respond: {}
    default: {respond: {body: x}}
`, Env{})
	for _, tt := range []struct {
		path      []any
		line, col int
	}{
		{[]any{"hosts"}, 2, 1},
		{[]any{"hosts", "a.example.com"}, 3, 3},
		{[]any{"hosts", "a.example.com", "rules"}, 4, 5},
		{[]any{"hosts", "a.example.com", "rules", 0}, 5, 9},
		{[]any{"hosts", "a.example.com", "rules", 0, "method"}, 5, 29}, // in bytes
		{[]any{"hosts", "a.example.com", "rules", 1}, 6, 9},
		{[]any{"hosts", "a.example.com", "rules", 1, "path"}, 6, 15},
		{[]any{"hosts", "a.example.com", "rules", 1, "path", 0}, 6, 15},
		{[]any{"hosts", "a.example.com", "rules", 1, "header", "X-A"}, 7, 18},
		{[]any{"hosts", "a.example.com", "rules", 1, "header", "X-A", 0}, 7, 23},
		{[]any{"hosts", "a.example.com", "default", "respond", "body"}, 9, 31},
		{[]any{"hosts", "a.example.com", "rules", 1, "cors", "origins"}, 6, 9}, // its nearest ancestor
		{[]any{"shutdown"}, 1, 1},
	} {
		p := c.Problem("x", tt.path...)
		equal(t, pathKey(tt.path...), p, Problem{File: c.Files[0], Line: tt.line, Col: tt.col, Message: "x"})
	}
}

func TestChecksOfOthers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte("log: {level: loud}\nhosts: {a: {tls: off, rules: [{path_regex: '(', respond: {}}], default: {respond: {}}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	regex := func(c *Config) []Problem {
		return []Problem{c.Problem("a bad expression", "hosts", "a", "rules", 0, "path_regex"), c.Problem("as well", "log", "level")}
	}
	c, problems := Load(file, Env{}, regex)
	if c != nil || len(problems) != 2 || problems[0].Line != 1 || problems[1].Message != "a bad expression" || problems[1].Col != 44 {
		t.Errorf("%v", problems)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	c, _ := mustLoad(t, "hosts: {a: {tls: off, default: {respond: {body: '${X}', type: text/html}}}}",
		Env{LookupEnv: func(string) (string, bool) { return "hunter2", true }})
	equal(t, "shown secret", c.Show("hunter2", "hosts", "a", "default", "respond", "body"), "the value of ${…}")
	equal(t, "shown literal", c.Show("text/html", "hosts", "a", "default", "respond", "type"), `"text/html"`)
}

func TestAnEmptyListIsNone(t *testing.T) {
	listen := func(said string) Listen {
		t.Helper()
		c, problems, _ := load(t, "data_dir: /d\nlisten: {"+said+"}\nhosts: {a.example: {tls: off, default: {respond: {body: a}}}}\n", testEnv())
		if c == nil {
			t.Fatal(problems)
		}
		return c.Listen
	}
	if said, silent := listen("trusted_proxies: [], proxy_protocol: []"), listen(""); !reflect.DeepEqual(said, silent) {
		t.Errorf("%#v is not %#v: a reload would refuse the change", said, silent)
	}
	if http := listen("http: []").HTTP; len(http) != 0 {
		t.Errorf("the default %v takes the place of an empty list", http)
	}
}

func TestMappedNetworksAreIPv4(t *testing.T) {
	c, _ := mustLoad(t, `tls: {issuers: [local]}
listen: {trusted_proxies: ["::ffff:203.0.113.0/120", "::ffff:192.0.2.1", "2001:db8::/32"]}
hosts: {a.example.com: {default: {respond: {body: x}}}}
`, Env{})
	if got := fmt.Sprint(c.Listen.TrustedProxies); got != "[203.0.113.0/24 192.0.2.1/32 2001:db8::/32]" {
		t.Errorf("read as %s", got)
	}
}
