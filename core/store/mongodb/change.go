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
	stages := pipeline{}
	if len(fields) > 0 {
		stages = append(stages, bson.D{{Key: "$set", Value: fields}})
	}
	return change{append(stages, sizeStage()), nil}
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

// sizeStage refuses a document with too many bytes. In BSON the name _id has one byte more than id.
func sizeStage() bson.D {
	tooLarge := call("$gt", bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}, store.MaxDocument+1)
	return bson.D{{Key: "$set", Value: bson.D{{Key: hidden("w", 0), Value: call("$cond", tooLarge, refuse("size"), "$$REMOVE")}}}}
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
