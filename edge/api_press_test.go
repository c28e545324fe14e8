package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

const pressHosts = `
data_dir: ./data
listen: {http: 127.0.0.1:0, https: [], metrics: ""}
shutdown: 5s
store: STORE
api:
  schemas: ./api
  permissions: {public: [article.find, article.findOne], authenticated: ["article.*", "tag.*"]}
  uploads: {folder: UPLOADS}
hosts:
  api.test: {tls: off, default: {api: true}}
`

var pressTypes = map[string]string{
	"article.yaml": `kind: collectionType
info: {singularName: article, pluralName: articles, displayName: Article}
options: {draftAndPublish: true}
attributes:
  title: {type: string, required: true, unique: true}
  n: {type: integer}
  tags: {type: relation, relation: manyToMany, target: "api::tag.tag", inversedBy: articles}
`,
	"tag.yaml": `kind: collectionType
info: {singularName: tag, pluralName: tags, displayName: Tag}
attributes:
  name: {type: string, required: true, unique: true}
  articles: {type: relation, relation: manyToMany, target: "api::article.article", mappedBy: tags}
`,
}

// A press is edge as a process of its own, with a content API.
type press struct {
	*outpost
	uploads string
	data    string
	address string
}

// newPress configures one, with pairs of strings in the configuration replaced. Presses that share a store share the folder for files.
func newPress(t *testing.T, store, uploads string, replace ...string) *press {
	t.Helper()
	folder := shortDir(t)
	p := &press{outpost: &outpost{t: t, folder: folder, file: filepath.Join(folder, "edge.yaml"), store: store}, uploads: uploads}
	p.data = filepath.Join(folder, "data")
	if err := os.Mkdir(filepath.Join(folder, "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range pressTypes {
		p.types(name, text)
	}
	p.write(replace...)
	return p
}

// write writes the configuration.
func (p *press) write(replace ...string) {
	p.t.Helper()
	text := strings.NewReplacer(append(replace, "STORE", p.kept(), "UPLOADS", p.uploads)...).Replace(pressHosts)
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *press) kept() string {
	if p.store == "sqlite" {
		return "sqlite"
	}
	return `{uri: "` + p.store + `", key: "` + base64.StdEncoding.EncodeToString([]byte("a key that is thirty-two bytes ok")[:32]) + `"}`
}

// types writes a content type.
func (p *press) types(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, "api", name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run starts edge and returns where it is.
func (p *press) run() string {
	p.t.Helper()
	p.process, p.said = process(p.t, p.file)
	p.address = plainAddress(p.t, p.said)
	return p.address
}

// end ends edge as a power failure would.
func (p *press) end() {
	_ = p.process.Process.Kill()
	_ = p.process.Wait()
}

// token makes one that may do everything.
func (p *press) token(name string) string {
	p.t.Helper()
	var out string
	await(p.t, "a token", func() bool {
		status, said, _ := asProcess(p.t, p.folder, "tokens", "create", name, "--type", "full-access")
		out = strings.TrimSpace(said)
		return status == exitDone
	})
	return out
}

// opened is the store of a press that does not run.
func (p *press) opened() store.Store {
	p.t.Helper()
	if p.store == "sqlite" {
		return enginetest.Opened(p.t, filepath.Join(p.data, "edge.db"))
	}
	return enginetest.Opened(p.t, p.store)
}

// asking asks one of the presses. An answer that does not come has the status 0.
func asking(t *testing.T, address, token, method, path, kind string, body []byte, fields ...string) (status int, said map[string]any, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/api"+path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil, nil
	}
	request.Host = "api.test"
	request.Header.Set("Content-Type", kind)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	answer, err := pressClient.Do(request)
	if err != nil {
		return 0, nil, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, nil
	}
	var parsed any
	_ = json.Unmarshal(text, &parsed)
	said, ok := parsed.(map[string]any)
	if !ok {
		said = map[string]any{"list": parsed, "text": string(text)}
	}
	return answer.StatusCode, said, answer.Header
}

var pressClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

// A piece is what somebody has made, and what may be there of it: more than one thing after a request that was not answered well.
type piece struct {
	doc, number string // as it was answered
	may         []string
}

// Writers make, change and delete articles, users and files, each their own, and note what they were told.
type writers struct {
	t       *testing.T
	token   string
	tag     string // document id
	role    any    // number
	edges   atomic.Pointer[[]string]
	asText  atomic.Bool // an article's number is a text by now
	orderly atomic.Bool // whoever gets no answer has not been heard
	retyped atomic.Bool // the kind of that number changes now and then
	over    chan struct{}
	working sync.WaitGroup

	mu                     sync.Mutex
	articles, users, files map[string]*piece // by title, username, name
	numbers                map[string]string // what has a number, by type and number
	acknowledged           int
	tally                  map[int]int
	odd                    []string // answers that say more than that it can't be done now
	more                   chan struct{}
}

// writing has n writers write to presses that share a store.
func writing(t *testing.T, n int, token string, edges ...string) *writers {
	t.Helper()
	w := &writers{t: t, token: token, over: make(chan struct{}), articles: map[string]*piece{}, users: map[string]*piece{}, files: map[string]*piece{},
		numbers: map[string]string{}, tally: map[int]int{}, more: make(chan struct{})}
	w.to(edges...)
	await(t, "a tag", func() bool {
		status, said, _ := asking(t, edges[0], token, "POST", "/tags", jsonType, []byte(`{"data": {"name": "one"}}`))
		if status == http.StatusCreated {
			w.tag = said["data"].(map[string]any)["documentId"].(string)
		}
		return status == http.StatusCreated
	})
	_, said, _ := asking(t, edges[0], token, "GET", "/users-permissions/roles", jsonType, nil)
	for _, role := range said["roles"].([]any) {
		if role := role.(map[string]any); role["type"] == "authenticated" {
			w.role = role["id"]
		}
	}
	for writer := range n {
		w.working.Go(func() { w.write(writer) })
	}
	t.Cleanup(w.working.Wait)
	return w
}

const jsonType = "application/json"

func (w *writers) to(edges ...string) { w.edges.Store(&edges) }

// write is one writer.
func (w *writers) write(writer int) {
	var mine []string
	for n := 0; ; n++ {
		select {
		case <-w.over:
			return
		case <-w.t.Context().Done():
			return
		case <-time.After(pause):
		}
		name := fmt.Sprintf("w%d-%d", writer, n)
		if n%9 == 0 {
			w.user(name, n)
		}
		if n%4 == 0 {
			w.file(name, n, n%8 == 0)
		}
		if w.create(name, n) {
			mine = append(mine, name)
		}
		if len(mine) > 0 && !w.change(mine[n%len(mine)], n) {
			mine = mine[:0] // what became of it nobody knows: it is left alone
		}
		if len(mine) > 5 {
			w.remove(mine[0], n)
			mine = mine[1:]
		}
	}
}

// unasked is the status where no press can be reached.
const unasked = -1

// ask asks one of the presses, and notes what it says.
func (w *writers) ask(n int, method, path, kind string, body []byte) (status int, said map[string]any) {
	edges := *w.edges.Load()
	if len(edges) == 0 {
		return unasked, nil
	}
	status, said, header := asking(w.t, edges[n%len(edges)], w.token, method, path, kind, body)
	if status == 0 && w.orderly.Load() {
		status = unasked
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tally[status]++
	switch status {
	case unasked, 0, 200, 201, 204:
	case 507:
	case 503:
		if header.Get("Retry-After") == "" {
			w.odd = append(w.odd, "503 without Retry-After")
		}
	default:
		if status == http.StatusBadRequest && w.retyped.Load() && strings.Contains(fmt.Sprint(said), "n must be a") {
			break
		}
		w.odd = append(w.odd, fmt.Sprintf("%s %s: %d %v", method, path, status, said))
	}
	if status/100 == 2 {
		w.acknowledged++
		close(w.more)
		w.more = make(chan struct{})
	}
	return status, said
}

// note notes what may be there: what was said to be, or what was there before and what was asked for.
func (w *writers) note(of map[string]*piece, name string, status int, asked string) (known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := of[name]
	if p == nil {
		p = &piece{may: []string{"gone"}}
		of[name] = p
	}
	switch {
	case status/100 == 2:
		p.may = []string{asked}
		return true
	case status == unasked:
		return false
	}
	p.may = append(p.may, asked)
	return false
}

// numbered notes a number, which nothing else may ever have had.
func (w *writers) numbered(of map[string]*piece, kind, name string, said map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	number := kind + " " + fmt.Sprint(said["id"])
	if other := w.numbers[number]; other != "" {
		w.odd = append(w.odd, fmt.Sprintf("%s is of %s and of %s", number, other, name))
	}
	w.numbers[number] = name
	of[name].doc, _ = said["documentId"].(string)
	of[name].number = fmt.Sprint(said["id"])
}

// create makes an article; of some, only the draft.
func (w *writers) create(title string, n int) bool {
	path, state := "/articles", fmt.Sprintf("%d %d", n, n)
	if n%3 == 0 {
		path, state = "/articles?status=draft", fmt.Sprintf("%d -", n)
	}
	status, said := w.ask(n, "POST", path, jsonType, fmt.Appendf(nil, `{"data": {"title": %q, "n": %s, "tags": [%q]}}`, title, w.n(n), w.tag))
	if !w.note(w.articles, title, status, state) {
		return false
	}
	w.numbered(w.articles, "article", title, said["data"].(map[string]any))
	return true
}

// change changes an article; of some, only the draft.
func (w *writers) change(title string, n int) bool {
	w.mu.Lock()
	a := w.articles[title]
	_, published, _ := strings.Cut(a.may[0], " ")
	w.mu.Unlock()
	path, state := "/articles/"+a.doc, fmt.Sprintf("%d %d", 1000+n, 1000+n)
	if n%2 == 0 {
		path, state = path+"?status=draft", fmt.Sprintf("%d %s", 1000+n, published)
	}
	status, _ := w.ask(n, "PUT", path, jsonType, fmt.Appendf(nil, `{"data": {"n": %s}}`, w.n(1000+n)))
	return w.note(w.articles, title, status, state)
}

// n is an article's number as it is written.
func (w *writers) n(n int) string {
	if w.asText.Load() {
		return strconv.Quote(strconv.Itoa(n))
	}
	return strconv.Itoa(n)
}

func (w *writers) remove(title string, n int) {
	w.mu.Lock()
	doc := w.articles[title].doc
	w.mu.Unlock()
	status, _ := w.ask(n, "DELETE", "/articles/"+doc, jsonType, nil)
	w.note(w.articles, title, status, "gone")
}

func (w *writers) user(name string, n int) {
	status, said := w.ask(n, "POST", "/users", jsonType, fmt.Appendf(nil, `{"username": %q, "email": "%s@example.org", "password": "Secret-%s", "role": %v}`, name, name, name, w.role))
	if w.note(w.users, name, status, "there") {
		w.numbered(w.users, "user", name, said)
	}
}

// file sends one, and deletes it.
func (w *writers) file(name string, n int, deleted bool) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("files", name+".txt")
	if err == nil {
		_, err = part.Write(bytes.Repeat([]byte(name+"\n"), 5000))
	}
	if err = errors.Join(err, form.Close()); err != nil {
		w.t.Error(err)
		return
	}
	status, said := w.ask(n, "POST", "/upload", form.FormDataContentType(), body.Bytes())
	list, _ := said["list"].([]any)
	if !w.note(w.files, name+".txt", status, "there") || len(list) == 0 {
		return
	}
	one, _ := list[0].(map[string]any)
	w.numbered(w.files, "file", name+".txt", one)
	if deleted {
		status, _ := w.ask(n, "DELETE", fmt.Sprintf("/upload/files/%v", one["id"]), jsonType, nil)
		w.note(w.files, name+".txt", status, "gone")
	}
}

// await waits until n more requests have done what they asked for.
func (w *writers) await(n int) {
	w.t.Helper()
	enough, first := time.After(time.Minute), -1
	for {
		w.mu.Lock()
		got, more, tally := w.acknowledged, w.more, maps.Clone(w.tally)
		w.mu.Unlock()
		if first < 0 {
			first = got
		}
		if got-first >= n {
			return
		}
		select {
		case <-more:
		case <-enough:
			w.t.Fatalf("%d of %d requests; answers: %v", got-first, n, tally)
		}
	}
}

// stop has them write nothing more.
func (w *writers) stop() {
	w.t.Helper()
	close(w.over)
	w.working.Wait()
	w.t.Log("answers by status:", w.tally)
	for _, odd := range w.odd {
		w.t.Error(odd)
	}
}
