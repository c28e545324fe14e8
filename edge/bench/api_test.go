//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	layout "github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

func TestCallersAskAsOftenAsTheyShould(t *testing.T) {
	var mu sync.Mutex
	known, conns := map[string]bool{}, map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		known[r.URL.Path], conns[r.RemoteAddr] = true, true
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
	}))
	defer s.Close()
	var made atomic.Int64
	c := callers{address: s.Listener.Addr().String(), made: &made, most: 50, request: func(n int) string { return requestText("/"+strings.Repeat("n", n), "") }}
	o, err := c.run(t.Context(), 4, time.Minute)
	if err != nil || o.requests != 50 || o.errors != 0 || o.p99 <= 0 || o.p99 > o.took || o.check() != nil {
		t.Errorf("%+v, %v", o, err)
	}
	mu.Lock()
	if len(known) != 50 || len(conns) > 4 {
		t.Errorf("%d paths over %d connections", len(known), len(conns))
	}
	mu.Unlock()
	c.most = 0
	if o, err := c.run(t.Context(), 4, 20*time.Millisecond); err != nil || o.requests == 0 || o.took < 20*time.Millisecond {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestAnAnswerThatIsNoneEndsTheMeasurement(t *testing.T) {
	for why, answer := range map[string]http.HandlerFunc{
		"405 Method Not Allowed: no": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusMethodNotAllowed) },
		"it closes the connection":   func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"EOF":                        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		s := httptest.NewServer(answer)
		c := callers{address: s.Listener.Addr().String(), made: new(atomic.Int64), request: func(int) string { return requestText("/", "") }}
		if o, err := c.run(t.Context(), 2, time.Minute); err == nil || !strings.Contains(err.Error(), why) || o.check() == nil {
			t.Errorf("%s: %+v, %v", why, o, err)
		}
		s.Close()
	}
	if _, err := (callers{address: "127.0.0.1:1", made: new(atomic.Int64)}).cost(t.Context(), time.Second); err == nil {
		t.Error("nobody is measured")
	}
}

func TestEveryEntryHasATitleOfItsOwn(t *testing.T) {
	s := &backend{wrap: true, published: strapiArticle, tags: []string{"a", "b", "c", "d", "e"}}
	w := works()[2]
	titles := map[string]bool{}
	for n := 1; n <= 20; n++ {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(s.request(w, n))))
		if err != nil {
			t.Fatal(err)
		}
		var sent struct {
			Data struct {
				Title string
				Tags  []string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.Method != "POST" || r.URL.Path != strapiArticle || r.Host != apiHost || len(sent.Data.Tags) != 2 || titles[sent.Data.Title] {
			t.Errorf("%v %+v, %v", r, sent, err)
		}
		titles[sent.Data.Title] = true
	}
}

func TestEdgeAndStrapiReadTheSameContentTypes(t *testing.T) {
	set := loaded(t)
	for name, drafts := range map[string]bool{"article": true, "note": false, "tag": false} {
		if of := set.Type(name); of == nil || of.Drafts != drafts {
			t.Errorf("%s: %+v", name, of)
		}
		if text := strapiFiles()["src/api/"+name+"/content-types/"+name+"/schema.json"]; !json.Valid([]byte(text)) || strings.Contains(text, `"index"`) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if !json.Valid([]byte(strapiPackage)) {
		t.Error(strapiPackage)
	}
}

func loaded(t *testing.T) *schema.Set {
	t.Helper()
	b := &bench{options: options{edge: "edge"}}
	folder := t.TempDir()
	if _, err := b.contentServer(folder, embedded, []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	set, problems := schema.Load(filepath.Join(folder, "schemas"), []string{"en"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

func TestEntriesAreWrittenAsEdgeKeepsThem(t *testing.T) {
	folder := t.TempDir()
	if err := writeFiles(folder, map[string]string{"schemas/note.json": contentTypes(true)["note"], "schemas/tag.json": tagSchema}); err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(folder, "edge.db")
	if n, err := fillEntries(t.Context(), place, filepath.Join(folder, "schemas"), "1500"); err != nil || n != 1500 {
		t.Fatal(n, err)
	}
	if _, err := fillEntries(t.Context(), place, folder+"/nowhere", "1500"); err == nil {
		t.Error("notes of no type")
	}
	s, err := openStore(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Count(t.Context(), "content-note", store.Eq("views", int64(3))); err != nil || n != alike {
		t.Errorf("%d have the same views, %v", n, err)
	}
	d, err := s.Get(t.Context(), "content-note", documentIDOf(1499))
	if err != nil || d.Int(layout.Number) != 1500 || d.String(layout.DocumentID) != d.String("id") || d.Time(layout.PublishedAt).IsZero() {
		t.Errorf("%v, %v", d, err)
	}
}

func TestDocumentIDsAreTheSameEachTime(t *testing.T) {
	var ids []string
	for n := range 3000 {
		id := documentIDOf(n)
		if !layout.IsDocumentID(id) || len(id) != len(layout.NewDocumentID()) || id != documentIDOf(n) {
			t.Fatal(id)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 3000 {
		t.Error("they don't ascend")
	}
}

func TestAMissingStrapiIsStoodInForByWhatWasRecorded(t *testing.T) {
	b := &bench{out: &bytes.Buffer{}}
	for _, w := range works() {
		b.noteCosts(w, map[string]cost{nameEdge: {cpu: 100, rate: 1000, p99: 1}})
	}
	b.noteMemory("idle", map[string]float64{nameEdge: 50 << 10}, recordedIdle)
	for _, f := range b.findings {
		if line := strings.Join(f.line(), "|"); !strings.Contains(line, "RECORDED") || f.verdict() != untold || strings.Contains(line, "Inf") {
			t.Error(line)
		}
	}
	b = &bench{out: &bytes.Buffer{}}
	b.noteCosts(works()[0], map[string]cost{nameEdge: {cpu: 100, rate: 1000, p99: 1}, nameStrapi: {cpu: 2000, rate: 100, p99: 9}, namePocketBase: {cpu: 50, rate: 1000, p99: 9}})
	var verdicts []string
	for _, f := range b.findings {
		verdicts = append(verdicts, strings.Join(f.line()[4:], " "))
	}
	if got := strings.Join(verdicts, "; "); got != "1/20.0 ≤ 1/30 × over; 10.00 – –; 1/9.0 – –; 2.00 ≤ 1.5 × over; 1.00 – –; 1/9.0 – –" {
		t.Error(got)
	}
	b.reportWebhooks()
	if b.reportAPI(); strings.Count(b.out.(*bytes.Buffer).String(), "\n| api-get") != 6 {
		t.Error(b.out)
	}
}

func TestThePeakIsRead(t *testing.T) {
	if kib, err := parsePeak("Name:\tnode\nVmPeak:\t 1276144 kB\nVmHWM:\t  250016 kB\nVmRSS:\t  22884 kB\n"); err != nil || kib != 250016 {
		t.Error(kib, err)
	}
	for _, text := range []string{"", "VmHWM:\n", "VmHWM:\tmuch kB\n"} {
		if kib, err := parsePeak(text); err == nil {
			t.Errorf("%q is %v", text, kib)
		}
	}
	m, err := peakOf(os.Getpid())
	if now, err2 := memoryOf(os.Getpid()); errors.Join(err, err2) != nil || m.rss < now.rss/2 || m.rss <= 0 {
		t.Errorf("%+v, %+v now, %v", m, now, err)
	}
}

func TestWhatIsFetchedIsFetchedOnceAndWhole(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	broken := errors.New("the network is away")
	part := func(folder string) error { return errors.Join(os.WriteFile(folder+"/half", nil, 0o600), broken) }
	if _, err := cached("it", part); !errors.Is(err, broken) {
		t.Error(err)
	}
	calls := 0
	whole := func(folder string) error { calls++; return os.WriteFile(folder+"/whole", nil, 0o600) }
	for range 2 {
		folder, err := cached("it", whole)
		if left, _ := os.ReadDir(filepath.Dir(folder)); err != nil || !there(folder+"/whole") || there(folder+"/half") || len(left) != 1 {
			t.Errorf("%s: %v, %v", folder, left, err)
		}
	}
	if calls != 1 {
		t.Errorf("it is fetched %d times", calls)
	}
}

func measuresTheContentAPI(t *testing.T, program string) {
	run, temporary := command(t, program, "-rows", "api-get,api-list,api-create", "-reps", "1", "-secs", "1")
	var out, log bytes.Buffer
	run.Stdout, run.Stderr = &out, &log
	if err := run.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	empty(t, temporary)
	for _, row := range []string{"| api-get ", "| api-list ", "without drafts: CPU time", "resident, at its peak"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("no %q in\n%s", row, out.String())
		}
	}
}
