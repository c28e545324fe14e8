//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// pocketVersion is the PocketBase that targets are about.
const pocketVersion = "v0.36.8"

const (
	pocketArticles = "/api/collections/articles/records"
	pocketTags     = "/api/collections/tags/records"
	pocketUser     = "bench@localhost.test"
)

func (b *bench) pocketBackend(ctx context.Context, folder string) (*backend, error) {
	path, err := b.findPocketBase(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	data := "--dir=" + filepath.Join(folder, "data")
	s := &backend{
		name: namePocketBase, port: ports[0], ready: "/api/health", list: pocketArticles + "?page=1&perPage=25", plain: pocketArticles,
	}
	s.program = program{args: []string{path, "serve", data, "--automigrate=false", "--http=" + s.address()}, folder: folder}
	password := rand.Text()
	user := program{args: []string{path, "superuser", "upsert", pocketUser, password, data}, folder: folder}
	if _, err := output(ctx, time.Minute, user); err != nil {
		return nil, err
	}
	return b.serve(ctx, s, func(ctx context.Context, s *backend) error { return fillPocketBase(ctx, s, password) })
}

// findPocketBase is the program that a release of PocketBase is, built once.
func (b *bench) findPocketBase(ctx context.Context) (string, error) {
	folder, err := cached("bench-pocketbase-"+pocketVersion, func(folder string) error {
		fmt.Fprintln(b.log, "building PocketBase", pocketVersion, "into your cache folder (minutes, once)")
		_, err := output(ctx, 15*time.Minute, program{
			args:   []string{"go", "install", "github.com/pocketbase/pocketbase/examples/base@" + pocketVersion},
			folder: os.TempDir(), env: []string{"GOBIN=" + folder, "CGO_ENABLED=0"}, cores: &b.cores.all,
		})
		return err
	})
	return filepath.Join(folder, "base"), err
}

// fillPocketBase makes collections like the content types, which visitors may read and write, and the same entries. Its log of requests is off, as others' are.
func fillPocketBase(ctx context.Context, s *backend, password string) error {
	var login struct{ Token string }
	err := s.call(ctx, http.MethodPost, "/api/collections/_superusers/auth-with-password", "", map[string]any{"identity": pocketUser, "password": password}, &login)
	if err != nil {
		return err
	}
	if err := s.call(ctx, http.MethodPatch, "/api/settings", login.Token, map[string]any{"logs": map[string]any{"maxDays": 0}}, nil); err != nil {
		return err
	}
	tags, err := s.collection(ctx, login.Token, "tags", "name", field{"name": "name", "type": "text", "required": true})
	if err != nil {
		return err
	}
	_, err = s.collection(ctx, login.Token, "articles", "title",
		field{"name": "title", "type": "text", "required": true}, field{"name": "body", "type": "text"}, field{"name": "views", "type": "number", "onlyInt": true},
		field{"name": "rating", "type": "number"}, field{"name": "published", "type": "date"},
		field{"name": "tags", "type": "relation", "collectionId": tags, "maxSelect": len(tagNames)})
	if err != nil {
		return err
	}
	for _, name := range tagNames {
		var tag struct{ ID string }
		if err := s.call(ctx, http.MethodPost, pocketTags, "", map[string]any{"name": name}, &tag); err != nil {
			return err
		}
		s.tags = append(s.tags, tag.ID)
	}
	return s.fillArticles(func(body string) error {
		var entry struct{ ID string }
		if err := s.call(ctx, http.MethodPost, pocketArticles, "", json.RawMessage(body), &entry); err != nil {
			return err
		}
		s.ones = append(s.ones, pocketArticles+"/"+entry.ID)
		return nil
	})
}

// A field is one of a collection, as PocketBase has it.
type field map[string]any

// collection makes one that everybody may read and write, with a field that is unique, and returns its id.
func (s *backend) collection(ctx context.Context, token, name, unique string, fields ...field) (string, error) {
	fields = append(fields, field{"name": "created", "type": "autodate", "onCreate": true}, field{"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true})
	var made struct{ ID string }
	err := s.call(ctx, http.MethodPost, "/api/collections", token, map[string]any{
		"name": name, "type": "base", "listRule": "", "viewRule": "", "createRule": "", "fields": fields,
		"indexes": []string{fmt.Sprintf("CREATE UNIQUE INDEX idx_%s ON %s (%s)", name, name, unique)},
	}, &made)
	return made.ID, err
}
