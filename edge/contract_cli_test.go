package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// configure writes a configuration into a folder of its own and returns the file.
func configure(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCheckShowsEveryProblem holds how problems are printed: FILE:LINE:COL: message, the line of the file, a caret; all of them.
func TestCheckShowsEveryProblem(t *testing.T) {
	file := configure(t, `tls: {issuers: [local]}
hosts:
  a.localhost:
    rules:
      - {path: /x, path_regx: "^/y", respond: {body: x}}
      - {path_regex: "(", respond: {body: x}}
    default: {site: ap}
`)
	status, out, errOut := command(t, "check", "-c", file)
	if status != exitUsage || out != "" {
		t.Errorf("status %d, stdout %q", status, out)
	}
	for _, want := range []string{
		file + `:5:20: unknown key "path_regx" in a rule; did you mean "path_regex"?` + "\n" +
			`      - {path: /x, path_regx: "^/y", respond: {body: x}}` + "\n" +
			"                   ^\n",
		file + ":6:22: ",
		file + `:7:21: there is no site "ap"`,
	} {
		if !strings.Contains(errOut, want) {
			t.Errorf("no %q in\n%s", want, errOut)
		}
	}
}

// TestOfflineCommandsChangeNothing asks what needs no server, and looks at what is in the folder before and after.
func TestOfflineCommandsChangeNothing(t *testing.T) {
	file := configure(t, "tls: {issuers: [local]}\nsites: {app: {root: .}}\nhosts: {localhost: {default: {site: app}}}\n")
	os.WriteFile(filepath.Join(filepath.Dir(file), "index.html"), []byte("home"), 0o644)
	list := func() (names []string) {
		filepath.WalkDir(filepath.Dir(file), func(path string, d fs.DirEntry, err error) error {
			names = append(names, path)
			return err
		})
		return names
	}
	before := list()
	for _, line := range []string{"check", "check --json", "explain https://localhost/x", "trust", "status", "version"} {
		args := strings.Fields(line)
		if args[0] != "version" {
			args = append(args, "-c", file)
		}
		command(t, args...)
		if after := list(); !slices.Equal(before, after) {
			t.Errorf("edge %s left %q", line, after)
		}
	}
}

// TestConfigurationIsFoundHere holds where a configuration is looked for when none is named.
func TestConfigurationIsFoundHere(t *testing.T) {
	if _, err := os.Stat(systemConfig); err == nil {
		t.Skip("SKIPPED: this machine has " + systemConfig + ", which comes first")
	}
	t.Chdir(t.TempDir())
	if status, _, errOut := command(t, "check"); status != exitUsage || !strings.Contains(errOut, systemConfig) || !strings.Contains(errOut, "edge init") {
		t.Errorf("without one: %d %s", status, errOut)
	}
	if status, _, errOut := command(t, "init"); status != exitDone {
		t.Fatal(errOut)
	}
	if status, out, errOut := command(t, "check"); status != exitDone || !strings.HasPrefix(out, "edge.yaml: good") {
		t.Errorf("with ./edge.yaml: %d %s%s", status, out, errOut)
	}
}

// TestAdminSocketIsFound holds the order --admin, EDGE_ADMIN, listen.admin, and that the last needs no secret of the file.
func TestAdminSocketIsFound(t *testing.T) {
	s := serve(t, oneGroup, "APP", app(t, "one").URL, "NOTE", "")
	socket := s.admin.Addr().String()
	elsewhere := configure(t, "listen: {admin: \"unix:"+socket+"\"}\ntls: {issuers: [local]}\nhosts: {x.localhost: {default: {respond: {body: \"${NOT_SET_ANYWHERE}\"}}}}\n")
	for _, test := range []struct {
		name, env string
		args      []string
		status    int
	}{
		{"--admin", "/nowhere.sock", []string{"--admin", socket}, exitDone},
		{"--admin unix:", "", []string{"--admin", "unix:" + socket}, exitDone},
		{"EDGE_ADMIN", socket, nil, exitDone},
		{"EDGE_ADMIN wins over the file", "unix:/nowhere.sock", []string{"-c", elsewhere}, exitFailed},
		{"listen.admin of a file whose secrets are not here", "", []string{"-c", elsewhere}, exitDone},
		{"data_dir's", "", []string{"-c", s.file}, exitDone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("EDGE_ADMIN", test.env)
			for _, line := range []string{"status", "targets", "certs"} {
				status, _, errOut := command(t, append([]string{line}, test.args...)...)
				if status != test.status || (status != exitDone) != strings.Contains(errOut, "/nowhere.sock") {
					t.Errorf("edge %s: %d %s", line, status, errOut)
				}
			}
		})
	}
}

// TestJSONWhereACommandShows holds the keys that scripts read.
func TestJSONWhereACommandShows(t *testing.T) {
	s := serve(t, oneGroup, "APP", app(t, "one").URL, "NOTE", "")
	t.Setenv("EDGE_ADMIN", "")
	for line, keys := range map[string]string{
		"status":                           "state version pid started files loaded files_differ listeners connections hosts targets targets_healthy",
		"certs":                            "host issuer source not_before not_after next_renewal",
		"targets":                          "group algorithm targets",
		"trust":                            "file fingerprint not_after names",
		"reload":                           "applied problems unhealthy seconds",
		"version":                          "version commit go",
		"explain https://api.localhost/a":  "url method host certificate rule action limits",
		"explain https://none.localhost/a": "url method note",
		"check":                            "",
	} {
		status, out, errOut := command(t, append(strings.Fields(line), "--json", "-c", s.file)...)
		var got any
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != exitDone || errOut != "" {
			t.Errorf("edge %s --json: %d %v\n%s%s", line, status, err, out, errOut)
			continue
		}
		if list, ok := got.([]any); ok && len(list) > 0 {
			got = list[0]
		}
		for _, key := range strings.Fields(keys) {
			if object, _ := got.(map[string]any); object[key] == nil {
				t.Errorf("edge %s --json has no %q:\n%s", line, key, out)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	file := configure(t, `listen: {public_port: 8443}
tls: {issuers: [local]}
target_groups: {api: {targets: ["http://127.0.0.1:1"]}}
hosts:
  example.com:
    aliases: [www.example.com]
    limits: {concurrency: 512, rate: 50/s}
    rules:
      - {path: /old/*, redirect: {to: "https://#{host}/new", status: 301}}
      - {path: /beta/*, method: POST, header: {X-Beta: "1"}, forward: api, limits: {body: 10MiB}}
    default: {respond: {status: 404}}
  plain.example.com: {tls: off, default: {respond: {body: x}}}
  api.example.com: {default: {api: true}}
api: {schemas: ./types}
`)
	types := filepath.Join(filepath.Dir(file), "types")
	if err := os.Mkdir(types, 0o755); err != nil {
		t.Fatal(err)
	}
	writeIn(t, types, "note.yaml", noteType)
	tests := []struct {
		name, args string
		want       []string // lines, spaces taken as one
		not        string
	}{
		{"all that it gets", "-X POST -H X-Beta:1 https://example.com/beta/a", []string{
			"POST https://example.com/beta/a", "host example.com (" + file + ":5)", "certificate issued by local", "rule 2 (" + file + ":10)",
			"action forward api", "not 1 path:", "limits host: 512 requests at once, 50/s per client (burst 50)", "rule: body 10 MiB"}, ""},
		{"a condition that does not hold", "https://example.com/beta/a", []string{"rule default", "not 2 method: GET is not POST"}, ""},
		{"a redirect", "https://example.com/old/a?b=c", []string{"location https://example.com:8443/new?b=c"}, ""},
		{"an alias", "https://www.example.com/a", []string{"rule alias", "location https://example.com:8443/a"}, ""},
		{"http", "http://example.com/old/a", []string{"note http is redirected to https", "certificate issued by local"}, ""},
		{"a path in disguise", "https://example.com/x/../%6Fld/a", []string{"rule 1"}, ""},
		{"a path that is refused", "https://example.com/..%2f..%2fetc", []string{"note refused with 400"}, "action"},
		{"a method that is refused", "-X TRACE https://example.com/", []string{"note refused with 405"}, "action"},
		{"a host that is not here", "https://other.example.com/", []string{"note no host of that name"}, "certificate "},
		{"an entry", "https://api.example.com/API/goals/x", []string{"action content API: /goals/x"}, ""},
		{"an uploaded file", "https://api.example.com/uploads/a.png", []string{"action content API: the file a.png"}, ""},
		{"what no API has", "https://api.example.com/goals", []string{"action content API: 404: it has nothing but /api/… and /uploads/…"}, ""},
		{"a plain host", "http://plain.example.com/", []string{"action respond 200"}, "certificate"},
		{"a plain host on https", "https://plain.example.com/", []string{"note the host has tls: off", "action respond 200"}, "certificate"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, out, errOut := command(t, append([]string{"explain", "-c", file}, strings.Fields(test.args)...)...)
			if status != exitDone {
				t.Fatalf("%d %s", status, errOut)
			}
			flat := strings.Join(strings.Fields(out), " ")
			for _, want := range test.want {
				if !strings.Contains(flat, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if test.not != "" && strings.Contains(flat, test.not) {
				t.Errorf("%q in\n%s", test.not, out)
			}
		})
	}
}

// TestSecretsAreNotShown puts secrets wherever a configuration takes them and looks for them in all that edge says.
func TestSecretsAreNotShown(t *testing.T) {
	t.Setenv("THE_SECRET", "hunter2-and-more")
	s := serve(t, `
hosts:
  localhost:
    rules:
      - {path: /p, auth: {basic: {ann: "${THE_SECRET}"}}, respond: {body: in}}
      - {header: {X-Key: "${THE_SECRET}"}, respond: {body: in}}
    default: {respond: {body: out}, headers: {request: {set: {X-Key: "${THE_SECRET}"}}}}
`)
	fetch(t, s.client("h1"), "GET", "https://localhost/p", "", "X-Key: guess")
	said := s.access.String()
	for _, line := range []string{"status", "certs", "explain https://localhost/x", "explain -H X-Key:guess https://localhost/p", "check"} {
		for _, format := range []string{"", " --json"} {
			status, out, errOut := command(t, append(strings.Fields(line+format), "-c", s.file)...)
			if status != exitDone {
				t.Errorf("edge %s: %d %s", line, status, errOut)
			}
			said += out + errOut
		}
	}
	s.write("hosts: {localhost: {default: {respond: {body: x, status: \"${THE_SECRET}\"}}}}\nlog: {level: \"${THE_SECRET}\"}\n")
	_, out, errOut := command(t, "reload", "-c", s.file)
	said += out + errOut + fmt.Sprint(s.Status())
	if strings.Contains(said, "hunter2") {
		t.Error("a secret is shown:\n" + said)
	}
}

func TestAWrongWordIsAnsweredWithWhatIsRight(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"webhooks lst", `webhooks has no command "lst"`},
		{"check extra", "check takes no argument"},
		{"plugins new a/b", "begins with a letter or digit\n"},
	} {
		if code, out, errOut := command(t, strings.Fields(test.args)...); code != exitUsage || out != "" || !strings.Contains(errOut, test.want) {
			t.Errorf("%s: %d %s%s", test.args, code, out, errOut)
		}
	}
}
