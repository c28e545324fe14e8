package mongodb

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// change is what a [store.Change] is in MongoDB: a pipeline that an update carries out. What can't be done to a document stops it
// there, by an expression that fails and whose words the server sends back.
type change struct {
	stages pipeline
	wrong  error // what can be done to no document of the collection, whichever it meets
}

func newChange(collection store.Collection, c store.Change) change {
	set := make(store.Document, len(c.Set)+1)
	var fields bson.D
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		if plus, ok := c.Set[name].(store.Now); ok {
			fields = append(fields, bson.E{Key: name, Value: now(plus)})
			continue
		}
		v, _ := store.NormalValue(c.Set[name])
		if v == nil {
			fields = append(fields, bson.E{Key: name, Value: "$$REMOVE"})
			continue
		}
		set[name] = v
		fields = append(fields, bson.E{Key: name, Value: exactly(v)})
	}
	for _, name := range c.Unset {
		fields = append(fields, bson.E{Key: name, Value: "$$REMOVE"})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Add)) {
		fields = append(fields, bson.E{Key: name, Value: sum(name, c.Add[name])})
	}
	if wrong := unacceptable(collection, set); wrong != nil {
		return change{pipeline{{{Key: "$set", Value: bson.D{{Key: hidden("w", 0), Value: refuse("value")}}}}}, wrong}
	}
	return change{sized(fields, store.Size(set)+len(fields)*addedField), nil}
}

// unacceptable returns why no document of the collection can have these values.
func unacceptable(collection store.Collection, set store.Document) error {
	set["id"] = "x"
	normal, _, err := store.Normal(set)
	if err != nil {
		return err
	}
	return collection.Accept(normal)
}

// sum adds a number to a field that is a whole number or null, as long as the sum is one.
func sum(name string, n int64) any {
	field, whole := "$"+name, bson.A{"int", "long"}
	added := call("$add", field, n)
	fits := call("$cond", call("$in", typeOf(added), whole), added, refuse("add "+name))
	other := call("$cond", call("$in", typeOf(field), bson.A{"missing", "null"}), n, refuse("add "+name))
	return call("$cond", call("$in", typeOf(field), whole), fits, other)
}

// addedField is more than a number or time takes in BSON, with the longest name.
const addedField = store.MaxName + 16

// sized sets fields, of so many bytes at most, and refuses a document that has too many bytes then. To count them once it is changed
// takes the server time, so this is done only for a document that is marked, by what it was before, as one that can come to the limit.
func sized(fields bson.D, bytes int) pipeline {
	const most = store.MaxDocument + 1 // the name _id has one byte more than id
	mark, size := hidden("w", 0), bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}
	near := call("$cond", call("$gt", size, most-bytes), true, "$$REMOVE")
	const marked = 1 + len("0w0") + 1 + 1 // bytes of the mark: type, name and its end, value
	tooLarge := call("$cond", call("$gt", size, most+marked), refuse("size"), "$$REMOVE")
	return pipeline{
		{{Key: "$set", Value: append(fields, bson.E{Key: mark, Value: near})}},
		{{Key: "$set", Value: bson.D{{Key: mark, Value: call("$cond", "$"+mark, tooLarge, "$$REMOVE")}}}},
	}
}

// refuse is an expression that fails for any document: text is no number. It holds the id, or the server would find out too early.
func refuse(why string) bson.D {
	text := call("$concat", "edge refuses: "+why+";", "$_id")
	return bson.D{{Key: "$convert", Value: bson.D{{Key: "input", Value: text}, {Key: "to", Value: "int"}}}}
}

var refusal = regexp.MustCompile(`edge refuses: (value|size|add ([A-Za-z0-9_-]+));`)

// failed returns what the server said when it would not carry out the change.
func (c change) failed(collection string, err error) error {
	if code, _ := codeOf(err); code == codeConversionFailure {
		switch m := refusal.FindStringSubmatch(err.Error()); {
		case m == nil:
		case m[1] == "value":
			return c.wrong
		case m[1] == "size":
			return fmt.Errorf("a document of %s would have more than %d bytes: %w", collection, store.MaxDocument, fault.TooLarge)
		default:
			return fmt.Errorf("%s of a document of %s is no whole number, or the sum would have more than 64 bits: %w", m[2], collection, fault.Invalid)
		}
	}
	return duplicate(collection, err)
}
