package strapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/onehost/edge/core/api/schema"
)

// A Source is a Strapi's data, which is only read. It belongs to one goroutine. What changes in Strapi meanwhile may be taken over in part: whoever
// takes over for good stops it first.
type Source struct {
	db      *database
	project string // its folder; "" when there is the database alone
	set     *schema.Set
	files   map[string][]byte // of the types, by path
	wrong   []Problem         // of the types
}

// Open opens a Strapi 5: a database file, or a project's folder, whose database is what DATABASE_FILENAME in its .env says, else .tmp/data.db.
func Open(path string) (*Source, error) {
	s := &Source{}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	file := path
	if info.IsDir() {
		if info, err := os.Stat(filepath.Join(path, "src")); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%s is no Strapi project: it has no folder src", path)
		}
		s.project = path
		if file, err = databaseOf(path); err != nil {
			return nil, err
		}
	}
	if s.db, err = openDatabase(file); err != nil {
		return nil, err
	}
	if err := s.check(file); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// check wants a database of Strapi 5.
func (s *Source) check(file string) error {
	if !s.db.tables["strapi_core_store_settings"] || !s.db.tables["up_users"] {
		return fmt.Errorf("%s is not a database of Strapi with accounts: its tables are missing", file)
	}
	columns, err := s.db.columnsOf(context.Background(), "up_users")
	if err != nil {
		return err
	}
	for _, name := range columns {
		if name == "document_id" {
			return nil
		}
	}
	return fmt.Errorf("%s is of a Strapi before 5: upgrade the project first (npx @strapi/upgrade major), start it once, then run this again", file)
}

// databaseOf finds the database of a project.
func databaseOf(project string) (string, error) {
	name := filepath.Join(".tmp", "data.db")
	env, err := os.ReadFile(filepath.Join(project, ".env"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if named := variable(string(env), "DATABASE_FILENAME"); named != "" {
		name = named
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(project, name)
	}
	if _, err := os.Stat(name); err != nil {
		return "", fmt.Errorf("the project's SQLite database is not where it is looked for, %s: say in its .env where it is (DATABASE_FILENAME=…)", name)
	}
	return name, nil
}

// Close ends the reading.
func (s *Source) Close() error { return s.db.db.Close() }
