package strapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/schema"
)

// A group is rows of one table that are read together, with what they lead to.
type group struct {
	uid        string // of the type or component
	table      string
	collection string // what the table was named after
	attributes []*schema.Attribute
	ids        []int64
	entries    bool // of a type
}

// among is the group's ids for json_each.
func (g group) among() string {
	text, _ := json.Marshal(g.ids) // numbers always can be
	return string(text)
}

// load reads the values of rows, by id and then by attribute: plain ones, references as document ids, components whole.
func (s *Source) load(ctx context.Context, g group, depth int) (map[int64]map[string]any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: components lie in one another more than %d deep", g.uid, maxDepth)
	}
	values, err := s.plain(ctx, g)
	if err != nil {
		return nil, err
	}
	for _, a := range g.attributes {
		if a.Kind == schema.RelationTo && a.Owner() {
			err = s.links(ctx, g, a, values)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", g.uid, a.Name, err)
		}
	}
	if err := s.media(ctx, g, values); err != nil {
		return nil, err
	}
	return values, s.parts(ctx, g, values, depth)
}

// plain reads the columns of rows.
func (s *Source) plain(ctx context.Context, g group) (map[int64]map[string]any, error) {
	there, err := s.db.columnsOf(ctx, g.table)
	if err != nil {
		return nil, err
	}
	names, columns, kinds := []string{"id"}, []string{"id"}, []schema.Kind{schema.Integer}
	add := func(name, column string, kind schema.Kind) {
		if slices.Contains(there, column) && !slices.Contains(names, name) {
			names, columns, kinds = append(names, name), append(columns, quoted(column)), append(kinds, kind)
		}
	}
	for _, a := range g.attributes {
		if a.Scalar() {
			add(a.Name, columnName(a.Name), a.Kind)
		}
	}
	if g.entries {
		add("document_id", "document_id", schema.String)
		add("locale", "locale", schema.String)
		for _, name := range []string{"created_at", "updated_at", "published_at"} {
			add(name, name, schema.DateTime)
		}
		if g.uid == schema.UserUID {
			add(passwords, "password", schema.String)
		}
	}
	values := make(map[int64]map[string]any, len(g.ids))
	sql := "SELECT " + strings.Join(columns, ", ") + " FROM " + quoted(g.table) + " WHERE id IN (SELECT value FROM json_each(?))"
	err = s.db.rows(ctx, sql, []any{g.among()}, func(r row) error {
		one := make(map[string]any, len(names))
		for i := 1; i < len(names); i++ {
			if v := told(kinds[i], r.value(i)); v != nil {
				one[names[i]] = v
			}
		}
		values[r.int(0)] = one
		return nil
	})
	return values, err
}

// links reads a relation that the rows own, from its table of pairs or from a column of their own.
func (s *Source) links(ctx context.Context, g group, a *schema.Attribute, values map[int64]map[string]any) error {
	sql, err := s.linkQuery(ctx, g, a)
	if err != nil || sql == "" {
		return err
	}
	return s.db.rows(ctx, sql, []any{g.among()}, func(r row) error {
		refer(values[r.int(0)], a, r.text(1))
		return nil
	})
}

// linkQuery finds pairs of a row's id and a document id; "" when Strapi keeps none.
func (s *Source) linkQuery(ctx context.Context, g group, a *schema.Attribute) (string, error) {
	target := tableName(a.Target.Table)
	if !s.db.tables[target] {
		return "", nil
	}
	table := linkTable(g.table, a.Name)
	columns, err := s.db.columnsOf(ctx, table)
	if err != nil {
		return "", err
	}
	own, column := g.table, columnName(a.Name+"Id")
	if len(columns) == 0 {
		there, err := s.db.columnsOf(ctx, own)
		if err != nil || !slices.Contains(there, column) {
			return "", err
		}
		return fmt.Sprintf("SELECT l.id, t.document_id FROM %s l JOIN %s t ON t.id = l.%s WHERE l.id IN (SELECT value FROM json_each(?)) AND t.document_id IS NOT NULL",
			quoted(own), quoted(target), quoted(column)), nil
	}
	var ends, orders []string
	for _, name := range columns {
		switch {
		case strings.HasSuffix(name, "_id"):
			ends = append(ends, quoted(name))
		case strings.HasSuffix(name, "_ord"):
			orders = append(orders, "l."+quoted(name))
		}
	}
	if len(ends) != 2 {
		return "", fmt.Errorf("the table %s has the columns %s: two that end in _id were expected", table, strings.Join(columns, ", "))
	}
	order := "l.id"
	if a.Many() && len(orders) > 0 {
		order = orders[0] + ", l.id" // the first is that of this side
	}
	return fmt.Sprintf("SELECT l.%s, t.document_id FROM %s l JOIN %s t ON t.id = l.%s WHERE l.%s IN (SELECT value FROM json_each(?)) AND t.document_id IS NOT NULL ORDER BY %s",
		ends[0], quoted(table), quoted(target), ends[1], ends[0], order), nil
}

// refer adds a reference. The draft and what is published of an entry are one.
func refer(values map[string]any, a *schema.Attribute, document string) {
	if values == nil {
		return
	}
	if !a.Many() {
		if values[a.Name] == nil {
			values[a.Name] = document
		}
		return
	}
	list, _ := values[a.Name].([]any)
	if !slices.Contains(list, any(document)) {
		values[a.Name] = append(list, document)
	}
}

// media reads which files the rows have.
func (s *Source) media(ctx context.Context, g group, values map[int64]map[string]any) error {
	if !s.db.tables["files_related_mph"] {
		return nil
	}
	byName := make(map[string]*schema.Attribute)
	for _, a := range g.attributes {
		if a.Kind == schema.Media {
			byName[a.Name] = a
		}
	}
	if len(byName) == 0 {
		return nil
	}
	const sql = `SELECT m.related_id, m.field, f.document_id FROM files_related_mph m JOIN files f ON f.id = m.file_id
		WHERE m.related_type = ? AND m.related_id IN (SELECT value FROM json_each(?)) AND f.document_id IS NOT NULL ORDER BY m."order", m.id`
	return s.db.rows(ctx, sql, []any{g.uid, g.among()}, func(r row) error {
		if a := byName[r.text(1)]; a != nil {
			refer(values[r.int(0)], a, r.text(2))
		}
		return nil
	})
}

// A part is a component of a row.
type part struct {
	row   int64
	field string
	uid   string
	id    int64
}

// parts reads the components of rows.
func (s *Source) parts(ctx context.Context, g group, values map[int64]map[string]any, depth int) error {
	byName := make(map[string]*schema.Attribute)
	for _, a := range g.attributes {
		if a.Kind == schema.Part || a.Kind == schema.Zone {
			byName[a.Name] = a
		}
	}
	table := partTable(g.collection)
	if len(byName) == 0 || !s.db.tables[table] {
		return nil
	}
	var all []part
	byUID := make(map[string][]int64)
	sql := `SELECT entity_id, field, component_type, cmp_id FROM ` + quoted(table) + ` WHERE entity_id IN (SELECT value FROM json_each(?)) ORDER BY "order", id`
	err := s.db.rows(ctx, sql, []any{g.among()}, func(r row) error {
		p := part{row: r.int(0), field: r.text(1), uid: r.text(2), id: r.int(3)}
		if byName[p.field] != nil && s.set.Component(p.uid) != nil {
			all = append(all, p)
			byUID[p.uid] = append(byUID[p.uid], p.id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	loaded := make(map[string]map[int64]map[string]any)
	for uid, ids := range byUID {
		c := s.set.Component(uid)
		inner := group{uid: uid, table: tableName(c.Table), collection: c.Table, attributes: c.Attributes, ids: ids}
		if loaded[uid], err = s.load(ctx, inner, depth+1); err != nil {
			return err
		}
	}
	for _, p := range all {
		if one := loaded[p.uid][p.id]; one != nil {
			join(values[p.row], byName[p.field], p, one)
		}
	}
	return nil
}

// join makes a component part of a row.
func join(values map[string]any, a *schema.Attribute, p part, one map[string]any) {
	if values == nil {
		return
	}
	one["id"] = p.id
	switch {
	case a.Kind == schema.Zone:
		one["__component"] = p.uid
	case !a.Repeatable:
		values[a.Name] = one
		return
	}
	list, _ := values[a.Name].([]any)
	values[a.Name] = append(list, one)
}
