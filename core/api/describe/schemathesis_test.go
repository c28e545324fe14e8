package describe_test

import (
	"context"
	_ "embed" // the list of packages
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api"
	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/describe"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/pypitest"
	"github.com/onehost/edge/core/store/storetest"
)

//go:embed testdata/requirements.txt
var requirements []byte

// tool is a program of the packages.
func tool(t *testing.T, name string) string {
	t.Helper()
	python, err := pypitest.Python(t.Context(), "schemathesis", requirements)
	if err != nil {
		pypitest.Missing(t, name, err)
	}
	return filepath.Join(filepath.Dir(python), name)
}

// A world is an api in service, with entries of all types, and what is described of it.
type world struct {
	*testing.T
	api  *api.API
	set  *schema.Set
	cfg  *config.API
	file string // the document
}

type nobody struct{}

func (nobody) Send(context.Context, mail.Message) error { return nil }

func newWorld(t *testing.T, refresh bool) *world {
	t.Helper()
	w := &world{T: t, cfg: &config.API{
		Schemas: "testdata/api", Prefix: "/api", Locales: []string{"en", "fr"}, Registration: true, PageSize: 25, MaxPageSize: 100, History: time.Hour,
		Permissions: map[string][]string{
			"public": {"post.find", "post.findOne", "post.create", "post.update", "author.*", "about.find", "upload.find", "upload.findOne"},
		},
		Sessions: config.APISessions{Refresh: refresh, Access: time.Hour, Idle: time.Hour, Max: time.Hour},
		Uploads:  config.APIUploads{Folder: filepath.Join(t.TempDir(), "uploads"), Size: 1 << 20, Pixels: 1_000_000},
	}}
	set, _ := schema.Load(w.cfg.Schemas, w.cfg.Locales)
	w.set = set
	w.serve()
	w.entries()
	w.file = filepath.Join(t.TempDir(), "openapi.json")
	document := describe.OpenAPI(set, describe.Options{Title: "Test", Version: "1", Server: "/api", Refresh: refresh, Policy: access.New(w.cfg, set)})
	w.must(os.WriteFile(w.file, document, 0o600))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) serve() {
	w.api = api.New(api.Options{Store: storetest.NewMemory(), Mailer: nobody{}, Key: []byte(strings.Repeat("k", 32)), Log: slog.New(slog.NewTextHandler(w.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	plan, err := w.api.Plan(&config.Config{API: w.cfg})
	w.must(err)
	w.must(plan.Prepare(w.Context()))
	plan.Commit()
	ended := make(chan error, 1)
	ctx, end := context.WithCancel(context.Background())
	go func() { ended <- w.api.Run(ctx) }()
	w.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
}

// entries makes some of each type: what leads from one to another is there to be shown.
func (w *world) entries() {
	create := func(name, data string) string {
		id, err := w.api.Entries.Create(w.Context(), w.set.Type(name), values(w, data), entries.Change{})
		w.must(err)
		return id
	}
	author := create("author", `{"name":"Ann"}`)
	post := create("post", `{"title":"A title","slug":"a","mood":"good","views":"12","rating":4.5,"day":"2026-05-01","at":"18:30:00","extra":{"a":[1]},"author":"`+author+`",
		"seo":{"title":"t"},"quotes":[{"words":"w","from":"`+author+`"}],"parts":[{"__component":"shared.seo","title":"t"},{"__component":"shared.quote","words":"w"}]}`)
	create("thing", `{"code":"AB1","body":[{"type":"paragraph","children":[{"type":"text","text":"x"}]}],"mail":"a@b.example","size":3,"ratio":0.5,
		"begins":"2026-05-01T00:00:00Z","needed":[1],"seo":{"title":"t"},"posts":["`+post+`"]}`)
	_, err := w.api.Entries.Put(w.Context(), w.set.Type("about"), values(w, `{"text":"x","word":"secret words"}`), entries.Change{})
	w.must(err)
	_, err = w.api.Accounts.AddUser(w.Context(), "ann", "ann@lab.example", "Passw0rd-ann", "")
	w.must(err)
}

func values(w *world, text string) (all map[string]any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	w.must(d.Decode(&all))
	return all
}

// serveOne answers a request. Nearly all have an If-Match that is empty, and would change nothing.
func (w *world) serveOne(out http.ResponseWriter, r *http.Request) {
	if r.Header.Get("If-Match") == "" {
		r.Header.Del("If-Match")
	}
	w.api.ServeHTTP(out, r)
}

// Who asks by the document is answered by it, with a token and without.
func TestTheAPIIsAsItIsDescribed(t *testing.T) {
	program := tool(t, "schemathesis")
	config, err := filepath.Abs("testdata/schemathesis.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]struct {
		who           access.TokenKind
		phase, within string // and for how many seconds, at most
	}{"anybody": {"", "fuzzing", "20"}, "a token": {access.FullAccess, "coverage", "60"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, how.who == "")
			server := httptest.NewServer(http.HandlerFunc(w.serveOne))
			defer server.Close()
			args := []string{
				"--config-file", config, "run", w.file, "--url", server.URL + "/api", "--exclude-path-regex", "^/realtime/", // whose answers have no end
				"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,allow_header_conformance",
				"--generation-deterministic", "--request-timeout", "20", "--no-color",
			}
			if os.Getenv("EDGE_SOAK") == "" {
				args = append(args, "--phases", how.phase, "--max-time", how.within, "--max-examples", "5")
			} else {
				args = append(args, "--max-examples", "300", "--continue-on-failure")
			}
			if how.who != "" {
				token, err := w.api.Accounts.CreateToken(t.Context(), "t", how.who, nil, time.Time{})
				w.must(err)
				args = append(args, "--header", "Authorization: Bearer "+token)
			}
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Dir = t.TempDir() // where it keeps what it has found
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestTheDocumentIsOneOfOpenAPI(t *testing.T) {
	program := tool(t, "openapi-spec-validator")
	for _, refresh := range []bool{false, true} {
		w := newWorld(t, refresh)
		if out, err := exec.CommandContext(t.Context(), program, "--schema", "3.1", w.file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	w := newWorld(t, false)
	text, err := os.ReadFile(w.file)
	w.must(err)
	w.must(os.WriteFile(w.file, []byte(strings.Replace(string(text), `"deepObject"`, `"deep"`, 1)), 0o600))
	out, err := exec.CommandContext(t.Context(), program, "--schema", "3.1", w.file).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("what is none passes: %v\n%s", err, out)
	}
}
