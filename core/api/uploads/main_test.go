package uploads

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rights are what a test's caller may do: these actions, with all entries.
type rights string

func (r rights) May(_ *schema.Type, a access.Action) bool {
	return strings.Contains(" "+string(r)+" ", " "+string(a)+" ")
}
func (rights) Only(*schema.Type, access.Action) query.Expr { return nil }
func (rights) Stamp(*schema.Type) map[string]any           { return nil }

const everything = rights("find findOne create delete")

// house is uploads in a folder, with a store in memory.
type house struct {
	*Uploads
	config config.APIUploads
	set    *schema.Set
	store  *storetest.Memory
}

func newHouse(t *testing.T, change func(*config.APIUploads)) *house {
	t.Helper()
	h := &house{config: config.APIUploads{Folder: filepath.Join(t.TempDir(), "uploads"), Size: 100_000, Pixels: 10_000}, store: storetest.NewMemory()}
	if change != nil {
		change(&h.config)
	}
	var err error
	if h.set, err = schema.New([]string{"en"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	file := h.set.UID(schema.FileUID)
	if err := h.store.Ensure(t.Context(), append(entries.Collections(), rows.Collection(file))...); err != nil {
		t.Fatal(err)
	}
	e := entries.New(entries.Options{Store: h.store, Log: slog.New(slog.DiscardHandler)})
	e.Use(h.set)
	h.Uploads = New(Options{Entries: e, Log: slog.New(slog.DiscardHandler)})
	if err := h.Use(t.Context(), h.config, h.set); err != nil {
		t.Fatal(err)
	}
	return h
}

// field is a part of a form: a file when it has a name.
type field struct{ key, name, text string }

func form(t *testing.T, path string, fields ...field) *http.Request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range fields {
		part, err := w.CreateFormField(f.key)
		if f.name != "" {
			part, err = w.CreateFormFile(f.key, f.name)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte(f.text))
	}
	w.Close()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

// send uploads, and wants rows.
func (h *house) send(t *testing.T, r *http.Request) []store.Document {
	t.Helper()
	files, _, err := h.Upload(httptest.NewRecorder(), r, access.Caller{}, everything)
	if err != nil {
		t.Fatal(err)
	}
	var all []store.Document
	for _, f := range files {
		all = append(all, f.Row)
	}
	return all
}

// wantRefusal wants an upload to be refused with a status, and words; and that nothing stays.
func (h *house) wantRefusal(t *testing.T, status int, says string, r *http.Request) {
	t.Helper()
	_, _, err := h.Upload(httptest.NewRecorder(), r, access.Caller{}, everything)
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Status != status || !strings.Contains(p.Message, says) {
		t.Errorf("want %d %q: %v", status, says, err)
	}
	if left := h.lies(t); len(left) > 0 {
		t.Errorf("%v stay", left)
	}
}

// lies are all files below the folder.
func (h *house) lies(t *testing.T) (names []string) {
	t.Helper()
	for _, folder := range []string{"", incoming} {
		all, err := os.ReadDir(filepath.Join(h.config.Folder, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if !e.IsDir() {
				names = append(names, filepath.Join(folder, e.Name()))
			}
		}
	}
	return names
}

// get asks for a file.
func (h *house) get(t *testing.T, method, address string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, address, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if err := h.ServeFile(w, r, strings.TrimPrefix(address, "/uploads/")); err != nil {
		p, ok := errors.AsType[*problem.Error](err)
		if !ok {
			t.Fatal(err)
		}
		w.WriteHeader(p.Status)
	}
	return w.Result()
}

// picture is a PNG.
func picture(t *testing.T, width, height int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
