package mongodb

import (
	"bytes"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/onehost/edge/core/store"
)

// index is an index of MongoDB: as it should be, or as it is.
type index struct {
	name    string
	fields  []string // all ascending
	unique  bool
	expires bool     // documents are removed when the time in the field has come
	only    bson.Raw // the condition on the documents in it; nil: all are
	list    bool     // fields may be, or be in, lists; the server is not told
}

// indexesOf returns what a collection is to have besides the index on _id, which is always there.
//
//   - An index that is not unique ends with _id, so that the order by id of those that are equal comes from it.
//   - A unique one has only the documents that have all its fields: those with a null are not compared.
//   - A list index has no _id: what is found by it comes in no order anyway.
//   - Documents expire by an index of their own.
func indexesOf(c store.Collection) []index {
	var all []index
	add := func(i index) {
		same := func(other index) bool { return other.name == i.name }
		if !slices.Equal(i.fields, []string{"_id"}) && !slices.ContainsFunc(all, same) {
			all = append(all, i)
		}
	}
	for _, described := range c.Indexes {
		if described.List && described.Fields[0] == c.Expire {
			continue // there are no lists, and MongoDB has no two indexes of one field that differ in this alone
		}
		i := index{unique: described.Unique, list: described.List}
		for _, field := range described.Fields {
			if path := stored(field); !slices.Contains(i.fields, path) {
				i.fields = append(i.fields, path)
			}
		}
		i.name = strings.Join(i.fields, ",")
		if i.list {
			i.name = "list " + i.name
		} else if i.unique {
			i.name, i.only = "unique "+i.name, allPresent(i.fields)
		} else if !slices.Contains(i.fields, "_id") {
			i.fields = append(i.fields, "_id")
		}
		add(i)
	}
	if c.Expire != "" && c.Expire != "id" {
		add(index{name: "expire " + c.Expire, fields: []string{c.Expire}, expires: true})
	}
	return all
}

func allPresent(fields []string) bson.Raw {
	d := make(store.Document, len(fields))
	for _, field := range fields {
		d[field] = store.Document{"$exists": true}
	}
	_, b := appendValue(nil, d)
	return b
}

func (i index) model() mongo.IndexModel {
	var keys bson.D
	for _, field := range i.fields {
		keys = append(keys, bson.E{Key: field, Value: 1})
	}
	o := options.Index().SetName(i.name)
	if i.unique {
		o.SetUnique(true).SetPartialFilterExpression(i.only)
	}
	if i.expires {
		o.SetExpireAfterSeconds(0)
	}
	return mongo.IndexModel{Keys: keys, Options: o}
}

// parseIndex reads what the server says of an index. Ok is false when there is something about it that none of ours has.
func parseIndex(raw bson.Raw) (i index, ok bool) {
	i.name, _ = raw.Lookup("name").StringValueOK()
	i.unique, _ = raw.Lookup("unique").BooleanOK()
	i.only, _ = raw.Lookup("partialFilterExpression").DocumentOK()
	keys, _ := raw.Lookup("key").DocumentOK()
	elements, err := keys.Elements()
	ok = err == nil
	for _, e := range elements {
		direction, number := e.Value().AsInt64OK()
		ok = ok && number && direction == 1
		i.fields = append(i.fields, e.Key())
	}
	all, err := raw.Elements()
	ok = ok && err == nil
	for _, e := range all {
		switch e.Key() {
		case "v", "key", "name", "unique", "partialFilterExpression", "ns":
		case "expireAfterSeconds":
			seconds, number := e.Value().AsInt64OK()
			i.expires = true
			ok = ok && number && seconds == 0
		default:
			ok = false
		}
	}
	return i, ok
}

func (i index) equal(other index) bool {
	return i.name == other.name && slices.Equal(i.fields, other.fields) && i.unique == other.unique && i.expires == other.expires &&
		bytes.Equal(i.only, other.only)
}
