package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

// A world is the API with the content of the Strapi that was recorded.
type world struct {
	t      testing.TB
	api    *API
	run    string            // what the names of things made in this run have in common
	docs   map[string]string // document ids, by their numbers in the record
	tokens map[string]string // by who has them
	code   string            // of the last mail
	mails  chan mail.Message
}

func lab(t testing.TB) *config.API {
	return &config.API{
		Schemas: "testdata/schemas", Prefix: "/api", Locales: []string{"en"}, Registration: true, PageSize: 25, MaxPageSize: 100, History: time.Hour,
		Permissions: map[string][]string{
			"public":        {"article.find", "article.findOne", "tag.find", "tag.findOne", "homepage.find"},
			"authenticated": {"article.*", "tag.*", "homepage.*", "user.find", "user.findOne", "upload.*"},
		},
		Pages:    config.APIPages{Reset: "https://app.lab.test/reset"},
		Sessions: config.APISessions{Access: time.Hour, Idle: time.Hour, Max: time.Hour},
		Uploads:  config.APIUploads{Folder: filepath.Join(t.TempDir(), "uploads"), Size: 10 << 20, Pixels: 50_000_000},
		Origins:  []string{"http://app.lab.test"},
	}
}

func (w *world) Send(_ context.Context, m mail.Message) error {
	w.mails <- m
	return nil
}

// running is an API on a store, until the test ends.
func running(t testing.TB, s store.Store, c *config.API, m *world) *API {
	t.Helper()
	a := New(Options{Store: s, Mailer: m, Key: []byte(strings.Repeat("k", 32)), Log: slog.New(slog.DiscardHandler)})
	p, err := a.Plan(&config.Config{API: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	p.Commit()
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		a.Drain()
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return a
}

func newWorld(t testing.TB, s store.Store) *world {
	t.Helper()
	w := &world{t: t, run: "r7", docs: map[string]string{}, tokens: map[string]string{}, mails: make(chan mail.Message, 10)}
	w.api = running(t, s, lab(t), w)
	w.people()
	w.content()
	return w
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) people() {
	for i, name := range []string{"alice", "bob", "carol"} {
		u, err := w.api.Accounts.AddUser(w.ctx(), name, name+"@lab.test", "Passw0rd-"+name, "")
		if err != nil {
			w.t.Fatal(err)
		}
		if i < 2 {
			w.docs[fmt.Sprint(i+1)] = u.DocumentID
		}
	}
	for _, one := range []struct {
		name string
		kind access.TokenKind
		may  []string
	}{{"full", access.FullAccess, nil}, {"ro", access.ReadOnly, nil}, {"custom", access.Custom, []string{"article.find"}}} {
		token, err := w.api.Accounts.CreateToken(w.ctx(), one.name, one.kind, one.may, time.Time{})
		if err != nil {
			w.t.Fatal(err)
		}
		w.tokens[one.name] = token
	}
}

// create makes an entry as edge itself does.
func (w *world) create(name, data string) string {
	w.t.Helper()
	var read map[string]any
	d := json.NewDecoder(strings.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&read); err != nil {
		w.t.Fatal(err)
	}
	_, draft := read["_draft"]
	delete(read, "_draft")
	set := w.api.service.Load().set
	id, err := w.api.Entries.Create(w.ctx(), set.Type(name), read, entries.Change{Draft: draft})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// content is what the record's README describes.
func (w *world) content() {
	var tags []string
	for i, name := range []string{"go", "node", "css", "sql", "ops"} {
		tags = append(tags, w.create("tag", `{"name":"`+name+`"}`))
		w.docs[fmt.Sprint(i+3)] = tags[i]
	}
	for i := 1; i <= 120; i++ {
		data := map[string]any{"title": fmt.Sprintf("Alpha %03d", i), "views": 3 * i, "published": fmt.Sprintf("2026-%02d-%02d", i%12+1, i%28+1), "tags": []string{tags[i%5], tags[(i+2)%5]}}
		if i%2 == 0 {
			data["title"] = fmt.Sprintf("beta %03d", i)
		}
		if i%7 != 0 {
			data["body"] = fmt.Sprintf("Body of article %03d. ", i) + strings.Repeat("Lorem ipsum dolor sit amet. ", 4)
		}
		if i%9 != 0 {
			data["rating"] = json.Number(fmt.Sprintf("%d.%02d", (i%50*10+5)/100, (i%50*10+5)%100))
		}
		if i%4 != 0 {
			data["author"] = w.docs[fmt.Sprint(i%2+1)]
		}
		if i%10 == 0 {
			data["_draft"] = true
		}
		text, err := json.Marshal(data)
		if err != nil {
			w.t.Fatal(err)
		}
		if id := w.create("article", string(text)); i == 10 {
			w.docs["10"] = id
		}
	}
	hero := map[string]any{"heading": "Hello", "hero": "World"}
	if _, err := w.api.Entries.Put(w.ctx(), w.api.service.Load().set.Type("homepage"), hero, entries.Change{}); err != nil {
		w.t.Fatal(err)
	}
}

// published makes as many articles as there are published ones to be.
func (w *world) published(n int) {
	t := w.api.service.Load().set.Type("article")
	have, err := w.api.Store.Count(w.ctx(), rows.Name(t), store.Eq(rows.Status, rows.Published))
	if err != nil || have > n {
		w.t.Fatalf("%d articles are published, want %d: %v", have, n, err)
	}
	for ; have < n; have++ {
		w.create("article", fmt.Sprintf(`{"title":"one more %d"}`, have))
	}
}

var codeOfMail = regexp.MustCompile(`code=([0-9a-zA-Z_-]+)`)

// mailed waits for a mail, and remembers its code.
func (w *world) mailed() {
	select {
	case m := <-w.mails:
		if found := codeOfMail.FindStringSubmatch(m.Text + m.HTML); found != nil {
			w.code = found[1]
		}
	case <-w.ctx().Done():
		w.t.Fatal("no mail")
	}
}

// learn remembers the tokens of an answer, as whoever was recorded did.
func (w *world) learn(c recorded, got *httptest.ResponseRecorder) {
	var answer struct {
		JWT  string
		User struct{ Username string }
	}
	if json.Unmarshal(got.Body.Bytes(), &answer) != nil || answer.JWT == "" {
		return
	}
	switch name := answer.User.Username; {
	case strings.HasPrefix(name, "u"):
		if c.Name == "register ok" {
			w.tokens["u"] = answer.JWT
		}
	default:
		w.tokens[name] = answer.JWT
	}
}
