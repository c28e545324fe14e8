package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/core/store"
)

// A listIndex is a table of the values of a field's lists, and of whom they are. Triggers keep it in step, whoever writes. What is no list has a row too: a document
// refers to others by a value as by a list of one.
type listIndex struct {
	name  string // "articles(tags) list": a collection's name has no bracket
	table string // of the collection
	path  string // quoted, for JSON functions
}

func newListIndex(c *collection, index store.Index) listIndex {
	return listIndex{indexName(c.Name, index), c.quoted(), quotePath(index.Fields[0])}
}

func (l listIndex) quoted() string { return `"` + l.name + `"` }

func (l listIndex) trigger(event string) string { return l.name + " " + event }

// valuesOf is a query for what the table has of a document: doc and id are columns.
func (l listIndex) valuesOf(doc, id, from string) string {
	at := doc + "," + l.path
	return fmt.Sprintf("SELECT DISTINCT v.value,%s,json_type(%s)='array' FROM %sjson_each(%s) AS v WHERE json_type(%s)<>'object' AND v.type NOT IN ('array','object','null')", id, at, from, at, at)
}

// all is a query for what the table is to have.
func (l listIndex) all() string { return l.valuesOf("d.doc", "d.id", l.table+" AS d CROSS JOIN ") }

// objects are what is in the file for it, and the statements that make them, the table first. By its key the rows of a document are found with the values it had.
func (l listIndex) objects() map[string]string {
	table := l.quoted()
	put := "INSERT INTO " + table + "(value,id,listed) " + l.valuesOf("new.doc", "new.id", "") + ";"
	remove := "DELETE FROM " + table + " WHERE id=old.id AND value IN (SELECT value FROM json_each(old.doc," + l.path + "));"
	on := func(event, what, do string) string {
		return fmt.Sprintf(`CREATE TRIGGER "%s" AFTER %s ON %s %s BEGIN %s END`, l.trigger(event), strings.ToUpper(event), l.table, what, do)
	}
	return map[string]string{
		l.name:              "CREATE TABLE " + table + "(value NOT NULL,id NOT NULL,listed NOT NULL,PRIMARY KEY(value,id)) WITHOUT ROWID",
		l.trigger("insert"): on("insert", "", put),
		l.trigger("update"): on("update", "WHEN old.doc->"+l.path+" IS NOT new.doc->"+l.path+" OR old.id<>new.id", remove+" "+put),
		l.trigger("delete"): on("delete", "", remove),
	}
}

// ensureLists makes the list indexes that are missing, or not as they should be, and drops those that are no longer described.
func (t *tx) ensureLists(c *collection) error {
	there, err := listsIn(t.ctx, t.conn, c.Name)
	if err != nil {
		return err
	}
	whole := make(map[string]bool)
	for _, l := range c.lists {
		whole[l.name] = l.whole(there)
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		table, _, isTrigger := strings.Cut(name, ") list ")
		kind := "TABLE"
		if isTrigger {
			table, kind = table+") list", "TRIGGER"
		}
		if whole[table] {
			continue
		}
		if err := t.conn.exec(t.ctx, "DROP "+kind+` IF EXISTS "`+strings.ReplaceAll(name, `"`, `""`)+`"`); err != nil {
			return err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(c.lists)) {
		l := c.lists[path]
		if whole[l.name] {
			continue
		}
		objects := l.objects()
		fill := "INSERT INTO " + l.quoted() + "(value,id,listed) " + l.all()
		for _, sql := range []string{objects[l.name], fill, objects[l.trigger("insert")], objects[l.trigger("update")], objects[l.trigger("delete")]} {
			if err := t.conn.exec(t.ctx, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// listsIn returns what is in the file for the list indexes of a collection, by name: the statements that have made it.
func listsIn(ctx context.Context, c *conn, collection string) (map[string]string, error) {
	there := make(map[string]string)
	sql := "SELECT name,sql FROM sqlite_schema WHERE type IN ('table','trigger') AND substr(name,1,?)=? AND instr(name,') list')>0"
	err := c.rows(ctx, sql, []any{len(collection) + 1, collection + "("}, func(r row) error {
		there[r.text(0)] = r.text(1)
		return nil
	})
	return there, err
}

// whole reports whether all is there as it should be.
func (l listIndex) whole(there map[string]string) bool {
	for name, sql := range l.objects() {
		if there[name] != sql {
			return false
		}
	}
	return true
}

// checkLists compares the list indexes with what they are of.
func checkLists(ctx context.Context, c *conn, col *collection, found func(error)) error {
	there, err := listsIn(ctx, c, col.Name)
	if err != nil {
		return err
	}
	for _, index := range col.described() {
		if !index.List {
			continue
		}
		l := newListIndex(col, index)
		if !l.whole(there) {
			found(fmt.Errorf("the index %s is not as it should be: drop the table and its triggers, and start edge, which makes them anew", l.name))
			continue
		}
		has := "SELECT value,id,listed FROM " + l.quoted()
		differ := "SELECT (SELECT count(*) FROM (" + l.all() + " EXCEPT " + has + ")), (SELECT count(*) FROM (" + has + " EXCEPT " + l.all() + "))"
		err := c.rows(ctx, differ, nil, func(r row) error {
			if lacks, more := r.int(0), r.int(1); lacks+more > 0 {
				found(fmt.Errorf("the index %s lacks %d values, and has %d that are not there: drop the table and its triggers, and start edge, which makes them anew", l.name, lacks, more))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
