package uploads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

func TestFilesAreKeptAndDescribed(t *testing.T) {
	h := newHouse(t, nil)
	text := picture(t, 40, 30)
	got := h.send(t, form(t, "/upload", field{"files", "Blue sky.PNG", text}, field{"files", "note.txt", "Hello.\n"},
		field{"fileInfo", "", `{"name":"sky","alternativeText":"blue"}`}, field{"fileInfo", "", `{"caption":"hi"}`}))
	if len(got) != 2 {
		t.Fatal(got)
	}
	sky, note := got[0], got[1]
	if sky["name"] != "sky" || sky["alternativeText"] != "blue" || sky["width"] != int64(40) || sky["height"] != int64(30) || sky["mime"] != "image/png" || sky["ext"] != ".png" ||
		sky["provider"] != "local" || sky["url"] != "/uploads/"+sky.String("hash")+".png" || sky["size"] != 0.09 && sky["size"] != 0.08 && sky["size"] != 0.1 {
		t.Errorf("the picture is %v", sky)
	}
	if note["name"] != "note.txt" || note["caption"] != "hi" || note["mime"] != "text/plain" || note["size"] != 0.01 || note["width"] != nil {
		t.Errorf("the note is %v", note)
	}
	if !regexp.MustCompile(`^[a-z0-9]{26}$`).MatchString(sky.String("hash")) || len(h.lies(t)) != 2 {
		t.Errorf("%s of %v", sky["hash"], h.lies(t))
	}
	answer := h.get(t, http.MethodGet, sky.String("url"))
	if body, _ := io.ReadAll(answer.Body); string(body) != text {
		t.Error("the picture is not served as it was")
	}
}

func TestAListMayBeSaidOfFilesAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	got := h.send(t, form(t, "/upload", field{"fileInfo", "", `[{"name":"a"},{"name":null}]`}, field{"files", "1.txt", "x"}, field{"files", "2.txt", "x"}))
	if got[0]["name"] != "a" || got[1]["name"] != "2.txt" {
		t.Errorf("they are %v", got)
	}
}

func TestWhatIsNotTakenLeavesNothing(t *testing.T) {
	h := newHouse(t, func(c *config.APIUploads) { c.Types = []string{"image/*", "text/plain"} })
	good := field{"files", "1.txt", "x"}
	bomb := picture(t, 101, 100)
	many := make([]field, MaxFiles+1)
	for i := range many {
		many[i] = good
	}
	for _, c := range []struct {
		status int
		says   string
		r      *http.Request
	}{
		{400, "Files are empty", form(t, "/upload", field{"fileInfo", "", "{}"})},
		{400, "Files are empty", httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/upload", nil)},
		{400, "all are texts", form(t, "/upload", good, field{"fileInfo", "", "{bad"})},
		{400, "all are texts", form(t, "/upload", good, field{"fileInfo", "", `{"name":5}`})},
		{400, "write its id into the entry", form(t, "/upload", good, field{"ref", "", "api::page.page"})},
		{400, "it is text/html", form(t, "/upload", good, field{"files", "x.png", "<!DOCTYPE html><script>alert(1)</script>"})},
		{400, "image/svg+xml", form(t, "/upload", good, field{"files", "x.png", `<svg xmlns="http://www.w3.org/2000/svg"/>`})},
		{400, "only image/*, text/plain", form(t, "/upload", good, field{"files", "x.html", "<!DOCTYPE html><p>"})},
		{400, "damaged", form(t, "/upload", good, field{"files", "x.png", bomb[:20]})},
		{413, "pixels", form(t, "/upload", good, field{"files", "x.png", bomb})},
		{413, "more than 100000 bytes", form(t, "/upload", good, field{"files", "x.txt", strings.Repeat("x", 100_001)})},
		{413, "20 files", form(t, "/upload", many...)},
		{413, "fileInfo has more", form(t, "/upload", good, field{"fileInfo", "", strings.Repeat(" ", maxInfo+1)})},
		{413, "too large", form(t, "/upload", good, field{"other", "", strings.Repeat("x", 4_000_000)})},
	} {
		h.wantRefusal(t, c.status, c.says, c.r)
	}
}

func TestABodyThatBreaksOffLeavesNothing(t *testing.T) {
	h := newHouse(t, nil)
	r := form(t, "/upload", field{"files", "1.txt", strings.Repeat("x", 1000)})
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body[:600])))
	h.wantRefusal(t, 400, "could not be read", r)
}

func TestFilesAreServedSoThatNothingInThemRuns(t *testing.T) {
	h := newHouse(t, nil)
	for _, c := range []struct{ name, text, media, disposition string }{
		{"x.png", picture(t, 2, 2), "image/png", ""},
		{"x.pdf", "%PDF-1.7\n", "application/pdf", ""},
		{"x.html", "<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream", "attachment"},
		{"x.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`, "application/octet-stream", "attachment"},
		{"x.txt", "plain", "application/octet-stream", "attachment"},
		{"x", "\x00\x01\x02", "application/octet-stream", "attachment"},
	} {
		row := h.send(t, form(t, "/upload", field{"files", c.name, c.text}))[0]
		answer := h.get(t, http.MethodGet, row.String("url"))
		got := answer.Header
		if got.Get("Content-Type") != c.media || got.Get("Content-Disposition") != c.disposition || got.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(got.Get("Content-Security-Policy"), "sandbox; default-src 'none'") || !strings.Contains(got.Get("Cache-Control"), "immutable") {
			t.Errorf("%s, %s: %v", c.name, row["url"], got)
		}
	}
}

func TestRangesAndTags(t *testing.T) {
	h := newHouse(t, nil)
	wantRanges(t, h, "0123456789")
}

func wantRanges(t *testing.T, h *house, text string) {
	t.Helper()
	address := h.send(t, form(t, "/upload", field{"files", "x.txt", text}))[0].String("url")
	whole := h.get(t, http.MethodGet, address)
	tag := whole.Header.Get("Etag")
	body, _ := io.ReadAll(whole.Body)
	if string(body) != text || tag == "" || whole.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("%q with %v", body, whole.Header)
	}
	part := h.get(t, http.MethodGet, address, "Range", "bytes=2-4")
	if body, _ := io.ReadAll(part.Body); part.StatusCode != 206 || string(body) != text[2:5] || part.Header.Get("Content-Range") != "bytes 2-4/"+strconv.Itoa(len(text)) {
		t.Errorf("a range is %d %q %v", part.StatusCode, body, part.Header)
	}
	for status, r := range map[int]*http.Response{
		304: h.get(t, http.MethodGet, address, "If-None-Match", tag),
		416: h.get(t, http.MethodGet, address, "Range", "bytes=100-"),
		404: h.get(t, http.MethodGet, "/uploads/none.txt"),
	} {
		if r.StatusCode != status {
			t.Errorf("%d, want %d", r.StatusCode, status)
		}
	}
	head := h.get(t, http.MethodHead, address)
	if body, _ := io.ReadAll(head.Body); head.StatusCode != 200 || len(body) > 0 || head.Header.Get("Content-Length") != strconv.Itoa(len(text)) {
		t.Errorf("HEAD is %d %q %v", head.StatusCode, body, head.Header)
	}
}

func TestOnlyFilesOfTheFolderAreServed(t *testing.T) {
	h := newHouse(t, nil)
	outside := filepath.Join(filepath.Dir(h.config.Folder), "secret.txt")
	if err := errors.Join(os.WriteFile(outside, []byte("x"), 0o600), os.Symlink(outside, filepath.Join(h.config.Folder, "link.txt")), os.Mkdir(filepath.Join(h.config.Folder, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret.txt", "link.txt", "folder", ".incoming", "", ".", "a/b", `a\b`, "x\x00"} {
		w := httptest.NewRecorder()
		err := h.ServeFile(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), name)
		if !errors.Is(err, fault.NotFound) {
			t.Errorf("%q: %v, %d", name, err, w.Code)
		}
	}
}

func TestWhatIsSaidOfAFileIsChangedAndItIsReplaced(t *testing.T) {
	h := newHouse(t, nil)
	old := h.send(t, form(t, "/upload", field{"files", "x.txt", "old"}, field{"fileInfo", "", `{"alternativeText":"A"}`}))[0]
	id := "/upload?id=" + strconv.FormatInt(old.Int("_n"), 10)
	if got := h.send(t, form(t, id, field{"fileInfo", "", `{"name":"y.txt"}`}))[0]; got["name"] != "y.txt" || got["alternativeText"] != "A" || got["url"] != old["url"] {
		t.Errorf("it is %v", got)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, id, strings.NewReader(`{"fileInfo":{"alternativeText":null}}`))
	r.Header.Set("Content-Type", "application/json")
	if got := h.send(t, r)[0]; got["name"] != "y.txt" || got["alternativeText"] != nil {
		t.Errorf("after JSON it is %v", got)
	}
	got := h.send(t, form(t, id, field{"files", "z.png", picture(t, 3, 3)}))[0]
	if got["name"] != "z.png" || got["url"] == old["url"] || got["width"] != int64(3) || got["_doc"] != old["_doc"] {
		t.Errorf("replaced it is %v", got)
	}
	if left := h.lies(t); len(left) != 1 || "/uploads/"+left[0] != got["url"] {
		t.Errorf("%v lie there", left)
	}
	for _, bad := range []string{"/upload?id=999", "/upload?id=abc"} {
		_, _, err := h.Upload(httptest.NewRecorder(), form(t, bad, field{"files", "x.txt", "x"}), access.Caller{}, everything)
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Status != 404 || p.Message != "Entity not found" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestFilesAreListedAndDeleted(t *testing.T) {
	h := newHouse(t, nil)
	row := h.send(t, form(t, "/upload", field{"files", "x.txt", "x"}))[0]
	number := strconv.FormatInt(row.Int("_n"), 10)
	all, err := h.List(t.Context(), &query.Query{Page: query.Page{Limit: 10}}, everything)
	if err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if one, err := h.One(t.Context(), number, &query.Query{}, everything); err != nil || one.Row["_doc"] != row["_doc"] {
		t.Errorf("%v, %v", one, err)
	}
	if gone, err := h.Delete(t.Context(), number, access.Caller{}, everything); err != nil || gone.Row["name"] != "x.txt" || len(h.lies(t)) > 0 {
		t.Errorf("%v, %v, %v", gone, err, h.lies(t))
	}
	for _, id := range []string{number, "abc"} {
		_, err1 := h.One(t.Context(), id, &query.Query{}, everything)
		_, err2 := h.Delete(t.Context(), id, access.Caller{}, everything)
		for _, err := range []error{err1, err2} {
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Status != 404 || p.Message != "file.notFound" {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

func TestNobodyDoesWhatHeMayNot(t *testing.T) {
	h := newHouse(t, nil)
	none := rights("")
	_, _, err1 := h.Upload(httptest.NewRecorder(), form(t, "/upload", field{"files", "x.txt", "x"}), access.Caller{}, none)
	_, err2 := h.List(t.Context(), &query.Query{}, none)
	_, err3 := h.One(t.Context(), "1", &query.Query{}, none)
	_, err4 := h.Delete(t.Context(), "1", access.Caller{}, none)
	for i, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, fault.Forbidden) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestAFileWithoutAnEntryIsSweptUpAndOneWithStays(t *testing.T) {
	h := newHouse(t, nil)
	kept := h.send(t, form(t, "/upload", field{"files", "x.txt", "x"}))[0]
	name := kept.String("hash") + ".txt"
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(h.config.Folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(incoming, name)) // its request was killed after the entry was written
	write("lost.txt")                    // and these before
	write(filepath.Join(incoming, "lost.txt"))
	write(filepath.Join(incoming, "early"))
	if err := h.sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil || len(h.lies(t)) != 5 {
		t.Errorf("before their time: %v, %v", h.lies(t), err)
	}
	if err := h.sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if left := h.lies(t); len(left) != 1 || left[0] != name {
		t.Errorf("%v stay", left)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newHouse(t, nil).Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAFailingStoreLeavesTheFileToTheSweep(t *testing.T) {
	h := newHouse(t, nil)
	h.store.Close()
	_, _, err := h.Upload(httptest.NewRecorder(), form(t, "/upload", field{"files", "x.txt", "x"}), access.Caller{}, everything)
	if fault.CodeOf(err) != fault.Unavailable {
		t.Skip("a closed store in memory says", err)
	}
	if left := h.lies(t); len(left) != 2 {
		t.Errorf("%v stay", left)
	}
}

func TestAnImportedFileIsKeptOnce(t *testing.T) {
	h := newHouse(t, nil)
	for i, want := range []bool{true, false} {
		if kept, err := h.Import(t.Context(), "Blue_1.png", 4, strings.NewReader("blue")); err != nil || kept != want {
			t.Errorf("%d: %v, %v", i, kept, err)
		}
	}
	if kept, err := h.Import(t.Context(), "Blue_1.png", 5, strings.NewReader("green")); err != nil || !kept {
		t.Errorf("another one: %v, %v", kept, err)
	}
	if body, _ := io.ReadAll(h.get(t, http.MethodGet, "/uploads/Blue_1.png").Body); string(body) != "green" {
		t.Errorf("it is %q", body)
	}
	for name, size := range map[string]int64{"../x": 1, ".x": 1, "short.txt": 2, "long.txt": 0} {
		if _, err := h.Import(t.Context(), name, size, strings.NewReader("x")); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := h.lies(t); len(left) != 1 {
		t.Errorf("%v lie there", left)
	}
}

func FuzzAnyBodyIsTakenOrRefused(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\r\nx\r\n--b--\r\n"), "multipart/form-data; boundary=b")
	f.Add([]byte(`{"fileInfo":{"name":"x"}}`), "application/json")
	s := &state{APIUploads: config.APIUploads{Folder: f.TempDir(), Size: 1000, Pixels: 100}}
	if err := os.Mkdir(filepath.Join(s.Folder, incoming), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, media string) {
		r := httptest.NewRequest(http.MethodPost, "/upload", strings.NewReader(string(body))) //nolint:noctx // nothing waits
		r.Header.Set("Content-Type", media)
		got, err := s.receive(httptest.NewRecorder(), r)
		if _, ok := errors.AsType[*problem.Error](err); err != nil && !ok {
			t.Errorf("%v is no answer", err)
		}
		for _, one := range got.files {
			if err == nil && (!isName(one.name) || len([]rune(one.given)) > 255) {
				t.Errorf("it is called %q, %q", one.name, one.given)
			}
		}
		got.discard()
		if left, _ := os.ReadDir(filepath.Join(s.Folder, incoming)); len(left) > 0 {
			t.Errorf("%v stay", left)
		}
	})
}

// ending is a store that a process does not come back from when it writes.
type ending struct{ store.Store }

func (e ending) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	if _, err := e.Store.Apply(ctx, writes...); err != nil {
		return nil, err
	}
	panic("the end")
}

func TestAFileWhoseEntryIsGoneGoesAlsoWhenItsProcessDoes(t *testing.T) {
	h := newHouse(t, nil)
	var numbers []string
	for range 3 {
		numbers = append(numbers, fmt.Sprint(h.send(t, form(t, "/upload", field{"files", "a.txt", "one"}))[0].Int(rows.Number)))
	}
	dying := New(Options{Entries: entries.New(entries.Options{Store: ending{h.store}, Log: h.log}), Log: h.log})
	dying.entries.Use(h.set)
	if err := dying.Use(t.Context(), h.config, h.set); err != nil {
		t.Fatal(err)
	}
	until := func(do func() error) {
		defer func() { _ = recover() }()
		t.Error("it has not ended: ", do())
	}
	until(func() error {
		_, err := dying.Delete(t.Context(), numbers[0], access.Caller{}, everything)
		return err
	})
	until(func() error {
		_, _, err := dying.Upload(httptest.NewRecorder(), form(t, "/upload?id="+numbers[1], field{"files", "b.txt", "two"}), access.Caller{}, everything)
		return err
	})
	if left := h.lies(t); len(left) < 4 {
		t.Fatalf("%v lie there", left)
	}
	if err := h.sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := h.lies(t); len(left) != 2 {
		t.Errorf("%v stay, and there are two entries", left)
	}
	if _, err := h.Delete(t.Context(), numbers[2], access.Caller{}, everything); err != nil {
		t.Fatal(err)
	}
	if left := h.lies(t); len(left) != 1 {
		t.Errorf("%v stay, and there is one entry", left)
	}
}
