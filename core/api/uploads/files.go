package uploads

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// undoTimeout is how long what a failed request did is undone, whatever has become of the request.
const undoTimeout = 10 * time.Second

// Upload answers POST /upload (201, a list), and with ?id=N the change of one file (one is true: 200, and the file alone): what fileInfo says of it, or
// another file in its place, which gets an address of its own.
func (u *Uploads) Upload(w http.ResponseWriter, r *http.Request, c access.Caller, s access.Scope) (files []*entries.Entry, one bool, err error) {
	now := u.now.Load()
	if !s.May(now.file, access.Create) {
		return nil, false, problem.Forbidden()
	}
	got, err := now.receive(w, r)
	defer got.discard()
	if err != nil {
		return nil, false, err
	}
	by := entries.Change{Scope: uploading{s, now.file}, By: c}
	if asked := r.URL.Query(); asked.Has("id") {
		file, err := u.change(r.Context(), now, asked.Get("id"), got, by)
		return []*entries.Entry{file}, true, err
	}
	if len(got.files) == 0 {
		return nil, false, problem.Validation("Files are empty")
	}
	files, err = u.create(r.Context(), now, got, by)
	return files, false, err
}

// uploading lets who may upload change what is said of files, as in Strapi. Which files those are, the rule for update says.
type uploading struct {
	access.Scope
	file *schema.Type
}

func (u uploading) May(t *schema.Type, a access.Action) bool {
	if t.UID == u.file.UID && a == access.Update {
		a = access.Create
	}
	return u.Scope.May(t, a)
}

// create keeps files and writes their entries: of all, or of none.
func (u *Uploads) create(ctx context.Context, s *state, got *received, by entries.Change) (files []*entries.Entry, err error) {
	var made []string
	var doubt error
	defer func() {
		if err != nil {
			u.undo(ctx, s, got, made, doubt)
		}
	}()
	for i, f := range got.files {
		if err := s.keep(ctx, f); err != nil {
			return nil, err
		}
		data := s.describe(f)
		if i < len(got.infos) {
			got.infos[i].into(data)
		}
		id, err := u.entries.Create(ctx, s.file, data, by)
		if err != nil {
			doubt = unknown(err)
			return nil, err
		}
		made = append(made, id)
		entry, err := u.entries.FindOne(ctx, s.file, id, &query.Query{}, nil)
		if err != nil {
			return nil, err
		}
		files = append(files, entry)
	}
	return files, nil
}

// unknown is an error after which a change of the store may have been made all the same.
func unknown(err error) error {
	if fault.CodeOf(err) == fault.Unavailable {
		return err
	}
	return nil
}

// undo removes what a request that failed has made. When it is in doubt whether an entry was written, or it can't be removed, a sweep decides about the file.
func (u *Uploads) undo(ctx context.Context, s *state, got *received, made []string, doubt error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	wrong := doubt
	for _, id := range made {
		_, err := u.entries.Delete(ctx, s.file, id, entries.Change{})
		wrong = errors.Join(wrong, err)
	}
	for _, f := range got.files {
		if f.name != "" && wrong == nil {
			wrong = s.place().remove(ctx, f.name)
		}
		f.doubt = wrong != nil
	}
	if wrong != nil {
		u.log.WarnContext(ctx, "uploads: a request failed, and whether its files have entries is found out within two hours", "error", wrong)
	}
}

// keep puts a file where it will be, and has the sweep know of it until its entry is written.
func (s *state) keep(ctx context.Context, f *waiting) error {
	name := filepath.Join(s.Folder, incoming, f.name)
	if f.File.Name() != name {
		if err := os.Rename(f.File.Name(), name); err != nil {
			return explain(err)
		}
		reopened, err := os.OpenFile(name, os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		_ = f.Close()
		f.File = reopened
	}
	return s.place().put(ctx, f.name, f.File, f.size)
}

// describe is what the entry of a file has.
func (s *state) describe(f *waiting) map[string]any {
	data := map[string]any{
		"name": f.given, "hash": hashOf(f.name), "ext": f.extension, "mime": f.media, "size": kilobytes(f.size), "url": "/uploads/" + f.name,
		"provider": s.place().provider(), "width": nil, "height": nil, "formats": nil,
	}
	if f.width > 0 {
		data["width"], data["height"] = json.Number(strconv.Itoa(f.width)), json.Number(strconv.Itoa(f.height))
	}
	return data
}

// kilobytes are thousands of bytes with two decimals.
func kilobytes(bytes int64) json.Number {
	return json.Number(strconv.FormatFloat(math.Round(float64(bytes)/10)/100, 'f', -1, 64))
}

// into adds what is said of a file to its entry's data.
func (i info) into(data map[string]any) {
	for key, v := range map[string]*string{"name": i.Name, "alternativeText": i.AlternativeText, "caption": i.Caption} {
		switch {
		case v != nil:
			data[key] = *v
		case slices.Contains(i.has, key) && key != "name":
			data[key] = nil
		}
	}
}

// change changes what is said of a file, or puts another in its place.
func (u *Uploads) change(ctx context.Context, s *state, number string, got *received, by entries.Change) (*entries.Entry, error) {
	if len(got.files) > 1 {
		return nil, problem.Validation("Replacing a file with multiple ones is not allowed")
	}
	old, err := u.find(ctx, s, number, &query.Query{}, by.Scope, "Entity not found")
	if err != nil {
		return nil, err
	}
	data := map[string]any{}
	if len(got.files) == 1 {
		if err := s.keep(ctx, got.files[0]); err != nil {
			return nil, err
		}
		data = s.describe(got.files[0])
	}
	if len(got.infos) > 0 {
		got.infos[0].into(data)
	}
	id := old.Row.String("_doc")
	if len(got.files) == 1 {
		s.doom(old.Row)
	}
	if err := u.entries.Update(ctx, s.file, id, data, by); err != nil {
		u.undo(ctx, s, got, nil, unknown(err))
		return nil, err
	}
	if len(got.files) == 1 {
		u.remove(ctx, s, old.Row)
	}
	return u.entries.FindOne(ctx, s.file, id, &query.Query{}, nil)
}

// find finds the file of a number, if the caller may see it.
func (u *Uploads) find(ctx context.Context, s *state, number string, q *query.Query, scope access.Scope, none string) (*entries.Entry, error) {
	missing := problem.NotFound()
	missing.Message = none
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, missing
	}
	id, err := u.entries.ByNumber(ctx, s.file, n)
	if err == nil {
		var file *entries.Entry
		if file, err = u.entries.FindOne(ctx, s.file, id, q, scope); err == nil && file != nil {
			return file, nil
		}
	}
	if p, ok := errors.AsType[*problem.Error](err); err == nil || ok && p.Status == http.StatusNotFound {
		return nil, missing
	}
	return nil, err
}

// List answers GET /upload/files.
func (u *Uploads) List(ctx context.Context, q *query.Query, s access.Scope) ([]*entries.Entry, error) {
	now := u.now.Load()
	if !s.May(now.file, access.Find) {
		return nil, problem.Forbidden()
	}
	list, err := u.entries.Find(ctx, now.file, q, s)
	return list.Entries, err
}

// One answers GET /upload/files/N.
func (u *Uploads) One(ctx context.Context, number string, q *query.Query, s access.Scope) (*entries.Entry, error) {
	now := u.now.Load()
	if !s.May(now.file, access.FindOne) {
		return nil, problem.Forbidden()
	}
	return u.find(ctx, now, number, q, s, "file.notFound")
}

// Delete answers DELETE /upload/files/N with the file as it was.
func (u *Uploads) Delete(ctx context.Context, number string, c access.Caller, s access.Scope) (*entries.Entry, error) {
	now := u.now.Load()
	if !s.May(now.file, access.Delete) {
		return nil, problem.Forbidden()
	}
	file, err := u.find(ctx, now, number, &query.Query{}, seeing{s}, "file.notFound")
	if err != nil {
		return nil, err
	}
	now.doom(file.Row)
	found, err := u.entries.Delete(ctx, now.file, file.Row.String("_doc"), entries.Change{Scope: s, By: c})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, problem.NotFound()
	}
	u.remove(ctx, now, file.Row)
	return file, nil
}

// seeing has who may delete files be told which one it was.
type seeing struct{ access.Scope }

func (seeing) May(*schema.Type, access.Action) bool { return true }

// doom has the sweep know of a file whose entry is about to go: should this process end before the file is removed, it is then.
func (s *state) doom(row store.Document) {
	if name := strings.TrimPrefix(row.String("url"), "/uploads/"); isName(name) && row.String("provider") == s.place().provider() {
		if f, err := os.OpenFile(filepath.Join(s.Folder, incoming, name), os.O_WRONLY|os.O_CREATE, 0o600); err == nil { // on a full disk, files are deleted all the same
			_ = f.Close()
		}
	}
}

// remove removes a file, with the smaller pictures that Strapi made of it, after its entry is gone.
func (u *Uploads) remove(ctx context.Context, s *state, row store.Document) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	p := s.of(row.String("provider"))
	if p == nil {
		return
	}
	addresses := []string{row.String("url")}
	for _, v := range row.Document("formats") {
		if f, ok := v.(store.Document); ok {
			addresses = append(addresses, f.String("url"))
		}
	}
	for _, address := range addresses {
		name, ours := strings.CutPrefix(address, "/uploads/")
		if !ours || !isName(name) {
			continue
		}
		if err := p.remove(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.log.WarnContext(ctx, "uploads: a file whose entry is deleted could not be removed yet", "file", name, "error", err)
			continue
		}
		_ = os.Remove(filepath.Join(s.Folder, incoming, name)) // what stays, the next sweep removes
	}
}

// named asks for the file of a hash.
func named(t *schema.Type, hash string) *query.Query {
	return &query.Query{Filter: query.Test{Path: query.Path{Last: t.Attribute("hash")}, Op: query.Eq, Values: []any{hash}}}
}
