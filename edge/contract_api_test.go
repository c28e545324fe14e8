package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/strapi"
	"github.com/onehost/edge/edge/internal/admin"
)

const apiHosts = `
api:
  schemas: ./api
  permissions: {public: [note.find], authenticated: ["note.*"]}
  access: {note: {find: {owner: {$eq: $user.id}}, create: {owner: $user.id}}}
hosts:
  api.test: {default: {api: true}}
`

const noteType = `kind: collectionType
info: {singularName: note, pluralName: notes, displayName: Note}
attributes:
  title: {type: string, required: true}
  owner: {type: relation, relation: manyToOne, target: "plugin::users-permissions.user"}
`

// An authored is a server with a content API.
type authored struct {
	*running
	client *http.Client
}

// serveAPI starts a server whose content types are those, by the name of their file.
func serveAPI(t *testing.T, body string, types map[string]string, replace ...string) *authored {
	t.Helper()
	folder := t.TempDir()
	for name, text := range types {
		writeIn(t, folder, name, text)
	}
	s := serve(t, strings.ReplaceAll(body, "./api", folder), replace...)
	a := &authored{s, s.client("h1")}
	a.awaitAPI(t)
	return a
}

// awaitAPI waits until what is kept is as the content types say.
func (a *authored) awaitAPI(t *testing.T) {
	t.Helper()
	await(t, "the content API answers", func() bool {
		return fetch(t, a.client, "GET", "https://api.test/api/users/me", "").StatusCode == http.StatusForbidden
	})
}

// ask asks the API as who has that token, "" for nobody, and returns what it answers.
func (a *authored) ask(t *testing.T, method, path, token, body string) (fetched, map[string]any) {
	t.Helper()
	fields := []string{"Content-Type: application/json"}
	if token != "" {
		fields = append(fields, "Authorization: Bearer "+token)
	}
	got := fetch(t, a.client, method, "https://api.test/api"+path, body, fields...)
	var said map[string]any
	if got.text != "" && json.Unmarshal([]byte(got.text), &said) != nil {
		said = map[string]any{"list": got.text}
	}
	return got, said
}

// login registers somebody and returns their token.
func (a *authored) login(t *testing.T, name string) string {
	t.Helper()
	got, said := a.ask(t, "POST", "/auth/local/register", "", `{"username": "`+name+`", "email": "`+name+`@example.org", "password": "Secret123"}`)
	token, ok := said["jwt"].(string)
	if !ok {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	return token
}

func (a *authored) edge(t *testing.T, args ...string) string {
	t.Helper()
	return (&recorded{running: a.running}).edge(t, args...)
}

func titles(said map[string]any) string {
	var all []string
	list, _ := said["data"].([]any)
	for _, e := range list {
		all = append(all, e.(map[string]any)["title"].(string))
	}
	return strings.Join(all, ",")
}

func TestEachPersonHasTheirOwnEntries(t *testing.T) {
	a := serveAPI(t, apiHosts, map[string]string{"note.yaml": noteType})
	ann, bob := a.login(t, "ann"), a.login(t, "bob")
	got, said := a.ask(t, "POST", "/notes", ann, `{"data": {"title": "ann's", "owner": null}}`)
	if got.StatusCode != http.StatusCreated || got.Header.Get("X-Request-Id") == "" {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	request := got.Header.Get("X-Request-Id")
	id := said["data"].(map[string]any)["documentId"].(string)
	for _, c := range []struct {
		who, token, want string
	}{{"ann", ann, "ann's"}, {"bob", bob, ""}, {"nobody", "", ""}} {
		if _, said := a.ask(t, "GET", "/notes", c.token, ""); titles(said) != c.want {
			t.Errorf("%s sees %q", c.who, titles(said))
		}
	}
	if got, _ := a.ask(t, "PUT", "/notes/"+id, bob, `{"data": {"title": "bob's"}}`); got.StatusCode != http.StatusNotFound {
		t.Errorf("bob changes ann's: %d %s", got.StatusCode, got.text)
	}
	if out := a.edge(t, "api", "changes", "--request", request); !strings.Contains(out, id) || !strings.Contains(out, "create") || !strings.Contains(out, "user:") {
		t.Errorf("the history says %s", out)
	}
}

func TestAccountsAndTokensAreManagedByTheOperator(t *testing.T) {
	a := serveAPI(t, apiHosts, map[string]string{"note.yaml": noteType})
	ann := a.login(t, "ann")
	a.ask(t, "POST", "/notes", ann, `{"data": {"title": "ann's"}}`)
	if out := a.edge(t, "users", "--search", "ANN"); !strings.Contains(out, "ann@example.org") || !strings.Contains(out, "authenticated") {
		t.Error(out)
	}
	a.edge(t, "users", "block", "ann@example.org")
	if got, _ := a.ask(t, "GET", "/notes", ann, ""); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("who is blocked gets %d", got.StatusCode)
	}
	a.edge(t, "users", "unblock", "1")
	if got, said := a.ask(t, "POST", "/auth/local", "", `{"identifier": "ANN@example.org", "password": "Secret123"}`); said["jwt"] == nil {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	token := strings.TrimSuffix(a.edge(t, "tokens", "create", "site", "--type", "read-only", "--expires", "1d"), "\n")
	if _, said := a.ask(t, "GET", "/notes", token, ""); titles(said) != "ann's" {
		t.Errorf("the token sees %q", titles(said))
	}
	if got, _ := a.ask(t, "POST", "/notes", token, `{"data": {"title": "x"}}`); got.StatusCode != http.StatusForbidden {
		t.Errorf("a token to read with writes: %d", got.StatusCode)
	}
	if out := a.edge(t, "tokens"); !strings.Contains(out, "site") || strings.Contains(out, token) {
		t.Error(out)
	}
	a.edge(t, "tokens", "revoke", "site")
	if got, _ := a.ask(t, "GET", "/notes", token, ""); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a revoked token gets %d", got.StatusCode)
	}
	a.edge(t, "users", "remove", "ann")
	if out := a.edge(t, "users", "--json"); strings.TrimSpace(out) != "[]" {
		t.Error(out)
	}
}

// A content type that contradicts what is kept is refused by a reload, and everything goes on as it was.
func TestAReloadThatContradictsWhatIsKeptIsRefused(t *testing.T) {
	a := serveAPI(t, apiHosts, map[string]string{"note.yaml": noteType})
	ann := a.login(t, "ann")
	for range 2 {
		a.ask(t, "POST", "/notes", ann, `{"data": {"title": "same"}}`)
	}
	folder := a.generation().cfg.API.Schemas
	writeIn(t, folder, "note.yaml", strings.Replace(noteType, "title: {type: string", "title: {unique: true, type: string", 1))
	_, err := a.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "title") {
		t.Errorf("reload: %v", err)
	}
	if _, said := a.ask(t, "GET", "/notes", ann, ""); titles(said) != "same,same" {
		t.Errorf("after the refused reload: %v", said)
	}
	writeIn(t, folder, "note.yaml", noteType+"  done: {type: boolean, default: false}\n")
	if got := a.edge(t, "reload", "-c", a.file); !strings.HasPrefix(got, "note.done is new: entries that are there have none, and do not get the default\nreloaded in ") {
		t.Errorf("reload: %s", got)
	}
	if _, said := a.ask(t, "POST", "/notes", ann, `{"data": {"title": "new"}}`); said["data"].(map[string]any)["done"] != false {
		t.Errorf("the new attribute: %v", said)
	}
}

// A start with content types that contradict what is kept serves everything else, and says what is wrong.
func TestAStartThatContradictsWhatIsKeptServesTheRest(t *testing.T) {
	a := serveAPI(t, apiHosts+"  a.test: {default: {respond: {body: hello}}}\n", map[string]string{"note.yaml": noteType})
	ann := a.login(t, "ann")
	a.ask(t, "POST", "/notes", ann, `{"data": {"title": "no number"}}`)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	folder := a.generation().cfg.API.Schemas
	writeIn(t, folder, "note.yaml", strings.Replace(noteType, "title: {type: string", "title: {type: integer", 1))
	next := &authored{running: a.again()}
	next.client = next.running.client("h1")
	if got := fetch(t, next.client, "GET", "https://a.test/", ""); got.text != "hello" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if got, _ := next.ask(t, "GET", "/notes", "", ""); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("the content API answers %d", got.StatusCode)
	}
	await(t, "the status says so", func() bool { return strings.Contains(strings.Join(next.Status().Attention, " "), "title") })
	writeIn(t, folder, "note.yaml", noteType)
	if outcome, err := next.Reload(t.Context()); err != nil || !outcome.Applied {
		t.Fatalf("reload: %+v, %v", outcome, err)
	}
	if _, said := next.ask(t, "GET", "/notes", ann, ""); titles(said) != "no number" {
		t.Errorf("after the mended types: %v", said)
	}
	if said := strings.Join(next.Status().Attention, " "); strings.Contains(said, "title") {
		t.Error(said)
	}
}

func TestAPluginReadsAndWritesEntries(t *testing.T) {
	binary, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	a := serveAPI(t, `
api: {schemas: ./api}
webhooks: {crm: {verify: none, plugin: witness, retries: [1h]}}
plugins: {witness: {command: "`+binary+`", env: {RECORD: "`+filepath.Join(t.TempDir(), "record")+`"}, may: [entries:write]}}
hosts:
  api.test: {default: {api: true}}
  hooks.test: {default: {webhooks: true}}
`, map[string]string{"note.yaml": noteType})
	(&witnessed{running: a.running}).awaitPlugin(t, 0)
	if got := fetch(t, a.client, "POST", "https://hooks.test/crm", "entry"); got.StatusCode/100 != 2 {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	var changes []admin.Change
	await(t, "the plugin has made two entries", func() bool {
		if err := json.Unmarshal([]byte(a.edge(t, "api", "changes", "--type", "note", "--json")), &changes); err != nil {
			t.Fatal(err)
		}
		return len(changes) == 2
	})
	if changes[0].By != "plugin:witness" {
		t.Errorf("they are of %s", changes[0].By)
	}
	event := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(event, []byte(`{"source": "crm", "event_id": "tried", "body": "entry"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.edge(t, "plugins", "test", "witness", event, "-c", a.file); got != "ok\n" {
		t.Errorf("tried apart from the server, it says %s", got)
	}
	token := strings.TrimSpace(a.edge(t, "tokens", "create", "reader"))
	if _, said := a.ask(t, "GET", "/notes?sort=id:desc&pagination[limit]=1", token, ""); titles(said) != "after 1" {
		t.Error(said)
	}
}

// Who follows a type hears of changes, and a stop does not wait for them to go.
func TestEventsAreHeardAndEndWithTheServer(t *testing.T) {
	a := serveAPI(t, apiHosts, map[string]string{"note.yaml": noteType})
	ann := a.login(t, "ann")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.test/api/realtime/notes", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+ann)
	stream, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if kind := stream.Header.Get("Content-Type"); stream.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		t.Fatalf("%d %s", stream.StatusCode, kind)
	}
	a.ask(t, "POST", "/notes", ann, `{"data": {"title": "heard"}}`)
	lines := bufio.NewScanner(stream.Body)
	heard := false
	for !heard && lines.Scan() {
		heard = strings.HasPrefix(lines.Text(), "data:") && strings.Contains(lines.Text(), "heard")
	}
	if !heard {
		t.Fatal("nothing is heard: ", lines.Err())
	}
	metrics := fetch(t, http.DefaultClient, "GET", "http://"+a.listeners.Metrics.Addr().String()+"/metrics", "").text
	if !strings.Contains(metrics, "edge_api_streams 1\n") || !strings.Contains(metrics, "edge_api_ready 1\n") {
		t.Error("the metrics say nothing of the stream")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, stream.Body)
	}()
	stopped := time.Now()
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if took := time.Since(stopped); took > 2*time.Second {
		t.Errorf("the stop waited %s for the stream", took)
	}
}

func TestAStrapiIsTakenOver(t *testing.T) {
	project := strapiProject(t)
	a := serveAPI(t, strings.Replace(apiHosts, "{public: [note.find], authenticated: [\"note.*\"]}", "{public: [note.find]}\n  locales: [en, fr, de]", 1), map[string]string{"note.yaml": noteType})
	if found := a.edge(t, "api", "import", "strapi", project, "--dry-run", "-c", a.file); !strings.Contains(found, "\napi:\n  locales: [en, fr, de]\n  permissions:\n    authenticated: [") {
		t.Errorf("for edge.yaml it says %s", found)
	}
	var first, second taken
	for _, done := range []*taken{&first, &second} {
		text := a.edge(t, "api", "import", "strapi", project, "--json", "-c", a.file)
		if err := json.Unmarshal([]byte(text), done); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	article := first.Types["api::article.article"]
	if article[strapi.Created] < 200 || len(first.Schemas) == 0 || first.Files["copied"] == 0 || !strings.Contains(first.Permissions, "article.find") || len(first.Refused) > 0 {
		t.Errorf("the first time: %+v", first)
	}
	if again := second.Types["api::article.article"]; again[strapi.Same] != article[strapi.Created] || again[strapi.Created] != 0 || len(second.Schemas) != 0 || second.Files["copied"] != 0 {
		t.Errorf("the second time: %+v", second)
	}
	token := strings.TrimSpace(a.edge(t, "tokens", "create", "reader"))
	if _, said := a.ask(t, "GET", "/articles?pagination[pageSize]=2", token, ""); titles(said) != "Alpha 001,beta 002" {
		t.Error(said)
	}
	if got, said := a.ask(t, "POST", "/auth/local", "", `{"identifier": "alice", "password": "Passw0rd-alice"}`); said["jwt"] == nil {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

// strapiProject is the folder of a Strapi project, with its database.
func strapiProject(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	from := filepath.Join("..", "core", "api", "strapi", "testdata")
	if err := os.CopyFS(folder, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(filepath.Join(from, "strapi.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, ".tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeIn(t, filepath.Join(folder, ".tmp"), "data.db", string(text))
	return folder
}
