//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The content types, as Strapi and edge read them. A note is an article without drafts; its views have an index, which Strapi's schemas can't ask for.
const (
	tagSchema = `{"kind": "collectionType", "collectionName": "tags", "info": {"singularName": "tag", "pluralName": "tags", "displayName": "Tag"},
 "options": {"draftAndPublish": false}, "attributes": {"name": {"type": "string", "required": true, "unique": true}}}
`
	articleSchema = `{"kind": "collectionType", "collectionName": "NAMEs", "info": {"singularName": "NAME", "pluralName": "NAMEs", "displayName": "NAME"},
 "options": {"draftAndPublish": DRAFTS},
 "attributes": {
  "title": {"type": "string", "required": true, "unique": true}, "body": {"type": "text"}, "views": {"type": "integer"INDEX},
  "rating": {"type": "decimal"}, "published": {"type": "date"}, "tags": {"type": "relation", "relation": "manyToMany", "target": "api::tag.tag"}}}
`
)

// contentTypes are the schemas by their names.
func contentTypes(index bool) map[string]string {
	indexed := ""
	if index {
		indexed = `, "index": true`
	}
	of := func(name string, drafts bool) string {
		return strings.NewReplacer("NAME", name, "DRAFTS", strconv.FormatBool(drafts), "INDEX", indexed).Replace(articleSchema)
	}
	return map[string]string{"tag": tagSchema, "article": of("article", true), "note": of("note", false)}
}

// contentConfig is edge as an operator would write it, without TLS, as the peers have none, and with visitors who may write, as they may there.
const contentConfig = `data_dir: FOLDER/data
listen: {http: "127.0.0.1:PORT", https: [], h3: off, metrics: "127.0.0.1:METRICS"}
log: {access: off}
store: {uri: "STORE"KEY}
api:
  schemas: FOLDER/schemas
  permissions: {public: [article.*, note.*, tag.*]}
hosts:
  localhost: {tls: off, default: {api: true}}
`

// contentPorts is how many a server needs.
const contentPorts = 2

// contentServer is edge with its content API on a store, not started yet.
func (b *bench) contentServer(folder, uri string, ports []int) (*backend, error) {
	key := ""
	if uri != embedded {
		key = `, key: "` + strings.Repeat("A", 43) + `="`
	}
	schemas := filepath.Join(folder, "schemas")
	if err := os.MkdirAll(schemas, 0o700); err != nil {
		return nil, err
	}
	for name, text := range contentTypes(true) {
		if err := os.WriteFile(filepath.Join(schemas, name+".json"), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(folder, "edge.yaml")
	text := strings.NewReplacer("FOLDER", folder, "METRICS", strconv.Itoa(ports[1]), "PORT", strconv.Itoa(ports[0]), "STORE", uri, "KEY", key).Replace(contentConfig)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return &backend{
		name: nameEdge, port: ports[0], ready: "/api/tags", wrap: true, list: strapiList, published: strapiArticle, plain: strapiNote,
		program: program{args: []string{b.edge, "run", "-c", file}, folder: folder},
	}, nil
}

// strapiList asks for 25 entries as @strapi/client writes it.
const strapiList = strapiArticle + "?pagination%5Bpage%5D=1&pagination%5BpageSize%5D=25"

func (b *bench) edgeBackend(ctx context.Context, folder string) (*backend, error) {
	ports, err := freePorts(contentPorts)
	if err != nil {
		return nil, err
	}
	s, err := b.contentServer(folder, embedded, ports)
	if err != nil {
		return nil, err
	}
	return b.serve(ctx, s, fillStrapi)
}
