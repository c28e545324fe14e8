package mongodb

import (
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

// expressions turns conditions into aggregation expressions, which say everything exactly, know variables and can't use an index. They
// are for the documents in lists, which no index reaches.
type expressions struct {
	at    string // where paths begin: "$" for the document, "$$e1." for a variable
	level int
}

func call(operator string, arguments ...any) bson.D {
	return bson.D{{Key: operator, Value: bson.A(arguments)}}
}

func exactly(v any) bson.D { return bson.D{{Key: "$literal", Value: literal(v)}} }

func typeOf(v any) bson.D { return bson.D{{Key: "$type", Value: v}} }

// value is the value that a path leads to. Through a list it leads nowhere.
func (e expressions) value(path string) any {
	var lists bson.A
	for _, prefix := range withoutLast(path) {
		lists = append(lists, call("$isArray", e.at+prefix))
	}
	if lists == nil {
		return e.at + path
	}
	return call("$cond", bson.D{{Key: "$or", Value: lists}}, nil, e.at+path)
}

// comparable is the value that a path leads to, or null when it has no place in the order of values.
func (e expressions) comparable(path string) any {
	v := e.value(path)
	return call("$cond", call("$in", typeOf(v), bson.A{"missing", "undefined", "array", "object"}), nil, v)
}

func (e expressions) holds(f store.Filter) any {
	switch f := f.(type) {
	case store.And:
		return bson.D{{Key: "$and", Value: e.each(f)}}
	case store.Or:
		return bson.D{{Key: "$or", Value: e.each(f)}}
	case store.Not:
		return call("$not", e.holds(f.Filter))
	case store.Compare:
		return e.compares(e.value(f.Field), f.Op, f.Value)
	case store.In:
		one := bson.A{}
		for _, v := range f.Values {
			one = append(one, e.compares(e.value(f.Field), store.Equal, v))
		}
		return bson.D{{Key: "$or", Value: one}}
	case store.Text:
		return e.hasText(e.value(f.Field), f)
	case store.Has:
		v, _ := store.NormalValue(f.Value)
		list := e.value(f.Field)
		return call("$in", exactly(v), call("$cond", call("$isArray", list), list, bson.A{}))
	case store.Some:
		return e.some(f.Field, f.Filter)
	}
	return true // nil is met by all
}

func (e expressions) each(filters []store.Filter) bson.A {
	all := bson.A{}
	for _, f := range filters {
		all = append(all, e.holds(f))
	}
	return all
}

func (e expressions) compares(v any, op store.Op, with any) any {
	var operand any
	if plus, ok := with.(store.Now); ok {
		operand, with = now(plus), time.Time{}
	} else {
		with, _ = store.NormalValue(with)
		operand = exactly(with)
	}
	if with == nil {
		return call("$in", typeOf(v), bson.A{"missing", "undefined", "null"})
	}
	compared := call(operator(op), v, operand)
	if op == store.Equal {
		return compared
	}
	return call("$and", call("$in", typeOf(v), typeNames(with)), compared)
}

// typeNames are the types of the values that v can be less or greater than.
func typeNames(v any) bson.A {
	switch v.(type) {
	case int64, float64:
		return bson.A{"int", "long", "double"}
	case string:
		return bson.A{"string"}
	case []byte:
		return bson.A{"binData"}
	case bool:
		return bson.A{"bool"}
	}
	return bson.A{"date"}
}

func (e expressions) hasText(v any, f store.Text) any {
	if f.Op == store.Whole && !f.Fold {
		return call("$eq", v, exactly(f.Value))
	}
	matched := bson.D{{Key: "$regexMatch", Value: bson.D{{Key: "input", Value: v}, {Key: "regex", Value: textPattern(f)}}}}
	return call("$cond", call("$eq", typeOf(v), "string"), matched, false)
}

// some holds when one of the documents in a list meets the condition.
func (e expressions) some(path string, f store.Filter) any {
	inner := expressions{"$$e" + strconv.Itoa(e.level+1) + ".", e.level + 1}
	name := "e" + strconv.Itoa(inner.level)
	list := e.value(path)
	return bson.D{{Key: "$anyElementTrue", Value: bson.A{bson.D{{Key: "$map", Value: bson.D{
		{Key: "input", Value: call("$cond", call("$isArray", list), list, bson.A{})},
		{Key: "as", Value: name},
		{Key: "in", Value: call("$and", call("$eq", typeOf("$$"+name), "object"), inner.holds(f))},
	}}}}}}
}
