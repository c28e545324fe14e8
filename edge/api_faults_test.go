package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// Who was told that something is kept is not deceived, and what is kept is whole: edge is killed while many write, again and again.
func TestContentSurvivesKills(t *testing.T) {
	t.Parallel()
	surviveWritesAndKills(t, 4, 30)
}

func TestSoakContentSurvivesKills(t *testing.T) {
	soaking(t)
	surviveWritesAndKills(t, 60, 300)
}

// surviveWritesAndKills kills edge after so many writes more were acknowledged in each round.
func surviveWritesAndKills(t *testing.T, rounds, each int) {
	p := newPress(t, "sqlite", shortDir(t))
	address := p.run()
	w := writing(t, 4, p.token("writer"), address)
	for range rounds {
		w.await(each)
		p.end()
		w.to()
		w.to(p.run())
	}
	w.await(each)
	w.stop()
	p.end()
	p.sweep()
	w.hold(p)
}

// A reload that changes entries is no moment in which one is written as the old types wanted it. Those who write meanwhile are told to come again.
func TestAReloadWithOtherTypesUnderLoadLeavesNoEntryBehind(t *testing.T) {
	t.Parallel()
	p := newPress(t, "sqlite", shortDir(t))
	address := p.run()
	w := writing(t, 4, p.token("writer"), address)
	w.retyped.Store(true)
	for round := range 4 {
		w.await(20)
		kind := []string{"string", "integer"}[round%2]
		p.types("article.yaml", strings.Replace(pressTypes["article.yaml"], "n: {type: integer}", "n: {type: "+kind+"}", 1))
		p.edge("reload")
		w.asText.Store(kind == "string")
	}
	w.await(20)
	p.types("article.yaml", pressTypes["article.yaml"]+"  note: {type: text}\n")
	p.edge("reload")
	w.await(20)
	w.stop()
	p.end()
	p.sweep()
	w.hold(p)
	for _, row := range kept(t, p.opened(), "content-article") {
		if _, ok := row["n"].(int64); !ok {
			t.Errorf("%s is %T %v", row.ID(), row["n"], row["n"])
		}
	}
}

// Who may do what, and types that only grow, change under load without anybody noticing who is not concerned; and a stop cuts nobody off.
func TestReloadsOfTheContentFailNobody(t *testing.T) {
	t.Parallel()
	p := newPress(t, "sqlite", shortDir(t))
	address := p.run()
	w := writing(t, 4, p.token("writer"), address)
	for round := range 6 {
		w.await(15)
		grown, public := pressTypes["article.yaml"], "[article.find, article.findOne]"
		for n := range round {
			grown += fmt.Sprintf("  note%d: {type: text}\n", n)
		}
		if round%2 == 0 {
			public = "[tag.find]"
		}
		p.types("article.yaml", grown)
		p.write("public: [article.find, article.findOne]", "public: "+public)
		p.edge("reload")
		status, _, _ := asking(t, address, "", "GET", "/articles", jsonType, nil)
		if want := []int{http.StatusForbidden, http.StatusOK}[round%2]; status != want {
			t.Errorf("with %s everybody gets %d", public, status)
		}
	}
	w.await(15)
	w.to() // what is under way ends, and nothing new comes
	w.orderly.Store(true)
	if err := p.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.process.Wait()
	w.stop()
	for status, n := range w.tally {
		if status/100 != 2 && status != unasked {
			t.Errorf("%d answers with %d", n, status)
		}
	}
	w.hold(p)
}

// On a full disk what is there is read, what can't be kept is refused (503, files 507), and all goes on by itself when there is space.
func TestContentOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := shortDir(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("SKIPPED: a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	p := newPress(t, "sqlite", filepath.Join(disk, "uploads"), "data_dir: ./data", "data_dir: "+filepath.Join(disk, "data"))
	p.data = filepath.Join(disk, "data")
	address := p.run()
	token := p.token("writer")
	w := writing(t, 4, token, address)
	for range 2 {
		w.await(20)
		filler := fill(t, disk)
		w.awaitStatus(http.StatusServiceUnavailable)
		w.awaitStatus(http.StatusInsufficientStorage)
		p.ask(http.StatusOK, token, "GET", "/articles", "")
		await(t, "the status says so", func() bool { return strings.Contains(p.edge("status"), "disk is full") })
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		w.await(20)
	}
	w.stop()
	p.end()
	p.sweep()
	w.hold(p)
}

// All that the content API keeps moves house with the store: entries, numbers, accounts with their passwords, tokens, history.
func TestContentMovesHouse(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	uploads := shortDir(t)
	old, house := newPress(t, "sqlite", uploads), newPress(t, mongodbtest.In(t, set.URI(), "edge"), uploads)
	address := old.run()
	w := writing(t, 2, old.token("writer"), address)
	w.await(60)
	old.ask(http.StatusOK, "", "POST", "/auth/local/register", `{"username": "ann", "email": "ann@example.org", "password": "Secret123"}`)
	w.users["ann"] = &piece{may: []string{"there"}}
	w.to()
	if err := old.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = old.process.Wait()
	copied := old.edge("store", "copy", "-c", old.file, "sqlite", house.file)
	for _, collection := range []string{"content-article", "content-user", "content-file", "api-credentials", "api-sessions", "api-tokens", "api-keys", "api-changes", "api-sequences", "api-schema"} {
		if !strings.Contains(copied, collection+" ") {
			t.Errorf("%s is not copied:\n%s", collection, copied)
		}
	}
	w.to(house.run())
	house.ready()
	w.await(40) // with the same token; numbers go on
	house.login("ann", "Secret123")
	w.stop()
	house.end()
	house.sweep()
	w.hold(house)
}

// sweep has edge remove what unfinished requests have left, as if they were long over.
func (p *press) sweep() {
	p.t.Helper()
	waiting := filepath.Join(p.uploads, ".incoming")
	names, err := filepath.Glob(filepath.Join(waiting, "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	long := time.Now().Add(-24 * time.Hour)
	for _, name := range names {
		if err := os.Chtimes(name, long, long); err != nil {
			p.t.Fatal(err)
		}
	}
	p.run()
	await(p.t, "the sweep", func() bool {
		names, _ := filepath.Glob(filepath.Join(waiting, "*"))
		return len(names) == 0
	})
	p.end()
}

// hold holds that all is there that was acknowledged, and nothing by half.
func (w *writers) hold(p *press) {
	w.t.Helper()
	s := p.opened()
	w.t.Logf("%d articles, %d users, %d files, %d numbers", len(w.articles), len(w.users), len(w.files), len(w.numbers))
	w.holdArticles(s)
	w.holdUsers(s)
	w.holdFiles(s, p.uploads)
	w.holdHistory(s)
}

// everything in a collection.
func everything(t *testing.T, s store.Store, c store.Collection) (all []store.Document) {
	t.Helper()
	if err := s.Ensure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for last := ""; ; last = all[len(all)-1].ID() {
		found, err := s.Find(t.Context(), store.Query{Collection: c.Name, Filter: store.Gt("id", last), Sort: []store.Order{{Field: "id"}}, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, found...); len(found) < 1000 {
			return all
		}
	}
}

// kept is a collection as it is there.
func kept(t *testing.T, s store.Store, name string) []store.Document {
	t.Helper()
	all, err := s.Collections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(c store.Collection) bool { return c.Name == name })
	if i < 0 {
		t.Fatal("there is no collection " + name)
	}
	return everything(t, s, all[i])
}

// holdThere holds that of each piece that is there which may be, in a state in which it may be.
func (w *writers) holdThere(what string, pieces map[string]*piece, there map[string]string) {
	w.t.Helper()
	for name, p := range pieces {
		is := there[name]
		if is == "" {
			is = "gone"
		}
		if !slices.Contains(p.may, is) {
			w.t.Errorf("%s %s is %q, and may be %q", what, name, is, p.may)
		}
	}
	for name := range there {
		if pieces[name] == nil {
			w.t.Errorf("%s %s is there, and nobody made it", what, name)
		}
	}
}

func (w *writers) holdArticles(s store.Store) {
	w.t.Helper()
	there, drafts, published := map[string]string{}, map[string]string{}, map[string]string{}
	numbers := map[int64]bool{}
	for _, row := range kept(w.t, s, "content-article") {
		title, version := row.String("title"), published
		if row.String(rows.Status) == rows.Draft {
			version = drafts
		}
		if version[title] != "" || numbers[row.Int(rows.Number)] || len(row.List("tags")) != 1 {
			w.t.Errorf("not whole: %v", row)
		}
		version[title], numbers[row.Int(rows.Number)] = fmt.Sprint(row.Int("n")), true
		there[title] = ""
	}
	for title := range there {
		if there[title] = drafts[title] + " " + published[title]; published[title] == "" {
			there[title] = drafts[title] + " -"
		}
	}
	w.holdThere("article", w.articles, there)
}

func (w *writers) holdUsers(s store.Store) {
	w.t.Helper()
	there, names := map[string]string{}, map[string]string{}
	for _, row := range kept(w.t, s, "content-user") {
		there[row.String("username")] = "there"
		names[row.ID()] = row.String("username")
	}
	w.holdThere("user", w.users, there)
	for _, d := range kept(w.t, s, "api-credentials") {
		if names[d.ID()] == "" {
			w.t.Errorf("a password is there without its user: %s", d.ID())
		}
		delete(names, d.ID())
	}
	for id, name := range names {
		w.t.Errorf("user %s (%s) is there without a password", name, id)
	}
}

func (w *writers) holdFiles(s store.Store, folder string) {
	w.t.Helper()
	there, names := map[string]string{}, map[string]bool{}
	for _, row := range kept(w.t, s, "content-file") {
		given, name := row.String("name"), strings.TrimPrefix(row.String("url"), "/uploads/")
		there[given], names[name] = "there", true
		text, err := os.ReadFile(filepath.Join(folder, name))
		if want := bytes.Repeat([]byte(strings.TrimSuffix(given, ".txt")+"\n"), 5000); err != nil || !bytes.Equal(text, want) {
			w.t.Errorf("%s has %d bytes: %v", given, len(text), err)
		}
	}
	w.holdThere("file", w.files, there)
	found, err := os.ReadDir(folder)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range found {
		if !f.IsDir() && !names[f.Name()] {
			w.t.Errorf("file %s is left without an entry", f.Name())
		}
	}
}

// holdHistory holds that each row has as many lines of history as changes, and that what has none is not there.
func (w *writers) holdHistory(s store.Store) {
	w.t.Helper()
	lines, gone := map[string]int64{}, map[string]bool{}
	for _, d := range kept(w.t, s, changes.Name) {
		c := changes.Decode(d)
		key := c.Type + " " + c.Entry + " " + c.Status
		lines[key]++
		gone[key] = gone[key] || c.Action == changes.Delete
	}
	for _, of := range []string{"article", "user", "file", "tag"} {
		for _, row := range kept(w.t, s, "content-"+of) {
			key := of + " " + row.String(rows.DocumentID) + " " + row.String(rows.Status)
			if n := row.Int(rows.Revision); lines[key] > n || lines[key] < n && !w.retyped.Load() || gone[key] { // other types change rows without a line
				w.t.Errorf("%s was changed %d times, of which the history has %d", key, row.Int(rows.Revision), lines[key])
			}
			delete(lines, key)
		}
	}
	for key := range lines {
		if of, _, _ := strings.Cut(key, " "); of != "role" && !gone[key] {
			w.t.Errorf("%s is in the history and not there", key)
		}
	}
}
