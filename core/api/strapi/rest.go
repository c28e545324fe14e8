package strapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/schema"
)

// Permissions are what each role may do, as YAML to put below api in edge.yaml. What has no counterpart there is left out.
func (s *Source) Permissions(ctx context.Context) ([]byte, error) {
	set, _, _, err := s.Types(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("permissions:\n")
	last := ""
	err = s.permissions(ctx, func(role, action string) {
		permission, ok := translate(set, action)
		switch {
		case !ok:
			return
		case role != last:
			if last != "" {
				b.WriteString("]\n")
			}
			fmt.Fprintf(&b, "  %s: [%s", role, permission)
			last = role
			return
		}
		b.WriteString(", " + permission)
	})
	if last != "" {
		b.WriteString("]\n")
	}
	return b.Bytes(), err
}

// permissions are pairs of a role and an action, ordered by role.
func (s *Source) permissions(ctx context.Context, each func(role, action string)) error {
	const sql = `SELECT DISTINCT r.type, p.action FROM up_permissions p JOIN up_permissions_role_lnk l ON l.permission_id = p.id JOIN up_roles r ON r.id = l.role_id
		WHERE r.type IS NOT NULL AND p.action IS NOT NULL ORDER BY r.type, p.action`
	if !s.db.tables["up_permissions_role_lnk"] {
		return nil
	}
	return s.db.rows(ctx, sql, nil, func(r row) error {
		each(r.text(0), r.text(1))
		return nil
	})
}

// word is what a role and a permission can be called in a configuration.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// translate says what one of Strapi's actions is called here: api::article.article.find is article.find.
func translate(set *schema.Set, action string) (string, bool) {
	dot := strings.LastIndexByte(action, '.')
	if dot < 0 || !word.MatchString(action[dot+1:]) {
		return "", false
	}
	controller, verb := action[:dot], action[dot+1:]
	switch {
	case controller == "plugin::upload.content-api":
		return "upload." + verb, slices.Contains([]string{"find", "findOne", "upload", "destroy"}, verb)
	case controller == schema.UserUID:
		return "user." + verb, slices.Contains([]string{"find", "findOne", "create", "update", "destroy", "count"}, verb)
	}
	t := set.UID(controller)
	if t == nil || t.Builtin {
		return "", false
	}
	return t.Name + "." + verb, slices.Contains([]string{"find", "findOne", "create", "update", "delete"}, verb)
}

// own are actions of Strapi that everybody, or everybody with an account, may do here without being told.
const own = "plugin::users-permissions."

// Left says what is not taken over.
func (s *Source) Left(ctx context.Context) ([]Problem, error) {
	set, _, left, err := s.Types(ctx)
	if err != nil {
		return nil, err
	}
	left = slices.Clone(left)
	for _, is := range leftovers {
		if !s.db.tables[is.table] {
			continue
		}
		n, err := s.db.number(ctx, "SELECT count(*) FROM "+quoted(is.table))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			left = append(left, Problem{What: is.what, Why: fmt.Sprintf("%d in %s: %s", n, is.table, is.why)})
		}
	}
	err = s.permissions(ctx, func(role, action string) {
		if _, ok := translate(set, action); !ok && !strings.HasPrefix(action, own) {
			left = append(left, Problem{What: "permission of " + role, Why: action + " has no counterpart"})
		}
	})
	if err != nil {
		return nil, err
	}
	foreign, err := s.foreign(ctx)
	return append(left, foreign...), err
}

// leftovers are tables that nothing here stands for.
var leftovers = []struct{ table, what, why string }{
	{"admin_users", "administrators", "here nobody edits through a panel; whoever should use the API gets an account with a role: edge users add"},
	{"strapi_api_tokens", "API tokens", "Strapi keeps only hashes that its own secret makes: make new ones with edge tokens create"},
	{"strapi_transfer_tokens", "transfer tokens", "there is no transfer between servers"},
	{"strapi_webhooks", "webhooks", "who wants to hear of changes follows them in realtime"},
	{"strapi_releases", "releases", "publish what is in them, or leave it a draft"},
	{"strapi_workflows", "review workflows", "there are none"},
	{"strapi_history_versions", "history", "older versions of entries stay in Strapi's database"},
	{"upload_folders", "folders of files", "files lie in no folders"},
}

// foreign says which entries of plugins, and files of other providers, stay where they are.
func (s *Source) foreign(ctx context.Context) (left []Problem, err error) {
	text, err := s.db.setting(ctx, "strapi_content_types_schema")
	if err != nil {
		return nil, err
	}
	all, err := parseObject([]byte(text))
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		o, err := parseObject(m.value)
		plugin, isPlugin := strings.CutPrefix(m.key, "plugin::")
		plugin, _, _ = strings.Cut(plugin, ".")
		if err != nil || !isPlugin || slices.Contains([]string{"upload", "i18n", "users-permissions", "content-releases", "review-workflows"}, plugin) {
			continue
		}
		if table := tableName(o.string("collectionName")); s.db.tables[table] {
			n, err := s.db.number(ctx, "SELECT count(*) FROM "+quoted(table))
			if err != nil {
				return nil, err
			}
			if n > 0 {
				left = append(left, Problem{What: m.key, Why: fmt.Sprintf("%d entries of a plugin", n)})
			}
		}
	}
	err = s.db.rows(ctx, "SELECT provider, count(*) FROM files WHERE provider IS NOT NULL AND provider <> 'local' GROUP BY 1 ORDER BY 1", nil, func(r row) error {
		left = append(left, Problem{What: "files of " + r.text(0), Why: fmt.Sprintf("%d stay where they are, and their entries go on naming that address", r.int(1))})
		return nil
	})
	return left, err
}

// A File is an uploaded file.
type File struct {
	Name string // as in its address, /uploads/NAME
	Size int64  // bytes
	Path string // where it lies
}

// Open opens the file for reading.
func (f File) Open() (io.ReadCloser, error) { return os.Open(f.Path) }

// Files are the uploaded files that lie in the project's folder, with the smaller pictures that Strapi made of them. One that an entry names and that is not there is an
// error, after which it goes on.
func (s *Source) Files(ctx context.Context) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		if s.project == "" {
			return
		}
		var names []string
		err := s.db.rows(ctx, "SELECT url, formats FROM files WHERE provider = 'local' ORDER BY id", nil, func(r row) error {
			names = append(names, fileName(r.text(0)))
			var formats map[string]struct{ URL string }
			_ = json.Unmarshal([]byte(r.text(1)), &formats) // null, or something of an older Strapi: then there are none
			for _, f := range formats {
				names = append(names, fileName(f.URL))
			}
			return nil
		})
		if err != nil {
			yield(File{}, err)
			return
		}
		for _, name := range names {
			if name != "" && !yield(s.file(name)) {
				return
			}
		}
	}
}

func (s *Source) file(name string) (File, error) {
	path := filepath.Join(s.project, "public", "uploads", name)
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		return File{Name: name}, err
	}
	return File{Name: name, Size: info.Size(), Path: path}, nil
}

// fileName is the name in an address /uploads/NAME; "" when it is of another shape.
func fileName(address string) string {
	_, name, ok := strings.Cut(address, "/uploads/")
	if !ok || !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		return ""
	}
	return name
}
