package strapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/schema"
)

// What of an attribute means something here. The rest is for Strapi's own screens, or says where in its database it lies.
var meaningful = []string{"type", "required", "unique", "private", "default", "min", "max", "minLength", "maxLength", "regex", "enum", "targetField",
	"relation", "target", "mappedBy", "inversedBy", "component", "repeatable", "components", "multiple", "allowedTypes", "pluginOptions"}

// system are attributes that Strapi adds to every type.
var system = []string{"createdAt", "updatedAt", "publishedAt", "createdBy", "updatedBy", "locale", "localizations"}

// ofUsers are attributes that users have everywhere.
var ofUsers = []string{"username", "email", "provider", "password", "resetPasswordToken", "confirmationToken", "confirmed", "blocked", "role"}

// Types are the content types as they were when Strapi last started, which is what its tables are like, and the files to keep them in, by their path below the
// schemas folder. Components are known from the project's src alone.
func (s *Source) Types(ctx context.Context) (*schema.Set, map[string][]byte, []Problem, error) {
	if s.set != nil {
		return s.set, s.files, s.wrong, nil
	}
	locales, err := s.locales(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	d := &describer{files: make(map[string][]byte), components: make(map[string]object), types: make(map[string]bool)}
	if s.project != "" {
		err = d.readComponents(filepath.Join(s.project, "src", "components"))
	}
	text := ""
	if err == nil {
		text, err = s.db.setting(ctx, "strapi_content_types_schema")
	}
	if err == nil {
		err = d.describe(text)
	}
	var set *schema.Set
	if err == nil {
		set, err = load(d.files, locales)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	s.set, s.files, s.wrong = set, d.files, d.wrong
	return s.set, s.files, s.wrong, nil
}

// locales are the languages that Strapi knows, the default first.
func (s *Source) locales(ctx context.Context) ([]string, error) {
	first, err := s.db.setting(ctx, "plugin_i18n_default_locale")
	if err != nil {
		return nil, err
	}
	locale := "en"
	if first != "" {
		if err := json.Unmarshal([]byte(first), &locale); err != nil {
			return nil, fmt.Errorf("the default locale is %q: %w", first, err)
		}
	}
	all := []string{locale}
	if !s.db.tables["i18n_locale"] {
		return all, nil
	}
	err = s.db.rows(ctx, "SELECT code FROM i18n_locale WHERE code IS NOT NULL ORDER BY id", nil, func(r row) error {
		if code := r.text(0); !slices.Contains(all, code) {
			all = append(all, code)
		}
		return nil
	})
	return all, err
}

// load reads files of content types as edge does when they lie in a folder.
func load(files map[string][]byte, locales []string) (*schema.Set, error) {
	folder, err := os.MkdirTemp("", "edge-types-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for name, text := range files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
			return nil, err
		}
	}
	set, problems := schema.Load(folder, locales)
	var wrong []error
	for _, p := range problems {
		if !p.Warning {
			p.File = strings.TrimPrefix(strings.TrimPrefix(p.File, folder), string(filepath.Separator))
			wrong = append(wrong, p)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("the content types can't be taken over: %w", err)
	}
	return set, nil
}

// plain is what a type may be called.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// A describer turns what Strapi says of its types into schema files.
type describer struct {
	files      map[string][]byte
	components map[string]object // by UID
	types      map[string]bool   // UIDs of those that are taken over
	wrong      []Problem
}

// readComponents takes the files CATEGORY/NAME.json of a folder.
func (d *describer) readComponents(folder string) error {
	names, err := fs.Glob(os.DirFS(folder), "*/*.json")
	if err != nil {
		return err
	}
	if len(names) > maxFiles {
		return fmt.Errorf("%s: %d components: at most %d are read", folder, len(names), maxFiles)
	}
	for _, name := range names {
		file := filepath.Join(folder, filepath.FromSlash(name))
		text, err := readFile(file, maxSchema)
		if err != nil {
			return err
		}
		uid := path.Dir(name) + "." + strings.TrimSuffix(path.Base(name), ".json")
		if d.components[uid], err = parseObject(text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: has more than %d bytes", name, most)
	}
	return text, err
}

// describe makes a file for each type and component of the project, and one for users if the project adds something to them.
func (d *describer) describe(text string) error {
	if text == "" {
		return errors.New("the database does not say which content types there are: start Strapi once, then run this again")
	}
	all, err := parseObject([]byte(text))
	if err != nil {
		return fmt.Errorf("what the database says of content types: %w", err)
	}
	for _, m := range all {
		d.types[m.key] = strings.HasPrefix(m.key, "api::") || m.key == schema.UserUID || m.key == schema.RoleUID || m.key == schema.FileUID
	}
	for _, m := range all {
		if !strings.HasPrefix(m.key, "api::") && m.key != schema.UserUID {
			continue
		}
		o, err := parseObject(m.value)
		if err != nil {
			return fmt.Errorf("%s: %w", m.key, err)
		}
		_, name, _ := strings.Cut(m.key, ".")
		if !plain.MatchString(name) { // a file is called so
			return fmt.Errorf("%.100q is no name of a content type", m.key)
		}
		if text := d.cleaned(m.key, o); text != nil {
			d.files[name+".json"] = text
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(d.components)) {
		category, name, _ := strings.Cut(uid, ".")
		d.files[path.Join("components", category, name+".json")] = d.cleaned(uid, d.components[uid])
	}
	return nil
}

// cleaned is a schema file with what means something here, and notes what does not. It is nil for users that are as everywhere.
func (d *describer) cleaned(uid string, o object) []byte {
	var kept object
	for _, m := range o {
		switch m.key {
		case "kind", "collectionName", "info", "options", "pluginOptions":
			kept = append(kept, m)
		case "attributes":
			attributes := d.attributes(uid, m.value)
			if uid == schema.UserUID && len(attributes) == 0 {
				return nil
			}
			kept = append(kept, member{m.key, attributes.text()})
		}
	}
	var b bytes.Buffer
	_ = json.Indent(&b, kept.text(), "", "  ") // what was parsed before
	b.WriteByte('\n')
	return b.Bytes()
}

func (d *describer) attributes(uid string, text []byte) object {
	all, err := parseObject(text)
	if err != nil {
		return nil
	}
	kept := object{}
	for _, m := range all {
		o, err := parseObject(m.value)
		if err != nil || slices.Contains(system, m.key) || uid == schema.UserUID && slices.Contains(ofUsers, m.key) {
			continue
		}
		if why := d.refused(o); why != "" {
			d.wrong = append(d.wrong, Problem{What: uid + "." + m.key, Why: why})
			continue
		}
		o = slices.DeleteFunc(o, func(m member) bool { return !slices.Contains(meaningful, m.key) })
		kept = append(kept, member{m.key, o.text()})
	}
	return kept
}

// refused says why an attribute is not taken over, "" if it is.
func (d *describer) refused(o object) string {
	switch kind := o.string("type"); kind {
	case "relation":
		target := o.string("target")
		switch {
		case strings.HasPrefix(o.string("relation"), "morph"):
			return "relations to entries of any type (morph) are not taken over: name the type in its schema"
		case !d.types[target]:
			return "entries of " + target + " are not taken over"
		}
	case "component":
		return d.unknown(o.string("component"))
	case "dynamiczone":
		var uids []string
		_ = json.Unmarshal(o.get("components"), &uids)
		for _, uid := range uids {
			if why := d.unknown(uid); why != "" {
				return why
			}
		}
	}
	return ""
}

func (d *describer) unknown(component string) string {
	if d.components[component] != nil {
		return ""
	}
	return "what the component " + component + " consists of is said in the project's src alone: name the project's folder instead of its database"
}
