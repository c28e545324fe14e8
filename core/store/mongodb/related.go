package mongodb

import (
	"cmp"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/onehost/edge/core/store"
)

// hasRelated reports whether a condition looks at other collections.
func hasRelated(f store.Filter) bool { return len(collectionsOf(f)) > 0 }

// collectionsOf returns the other collections that a condition looks at.
func collectionsOf(f store.Filter) []string {
	var names []string
	switch f := f.(type) {
	case store.And:
		for _, one := range f {
			names = append(names, collectionsOf(one)...)
		}
	case store.Or:
		for _, one := range f {
			names = append(names, collectionsOf(one)...)
		}
	case store.Not:
		return collectionsOf(f.Filter)
	case store.Related:
		return append(collectionsOf(f.Filter), f.Collection)
	}
	return names
}

// stages returns the pipeline that leaves the documents that meet a condition. What needs no other collection comes first, where indexes
// are used; related documents are looked up for what it leaves. Fields with hidden names may be left in the documents.
func (t translator) stages(f store.Filter) pipeline {
	var own store.And
	var others []store.Filter
	for _, one := range conjuncts(f) {
		if hasRelated(one) {
			others = append(others, one)
		} else {
			own = append(own, one)
		}
	}
	all := pipeline{}
	t.lookups = &all
	if len(own) > 0 {
		all = append(all, bson.D{{Key: "$match", Value: t.match(own)}})
	}
	for _, one := range others {
		condition := t.match(one)
		all = append(all, bson.D{{Key: "$match", Value: condition}})
	}
	return all
}

// conjuncts returns the conditions that all have to hold.
func conjuncts(f store.Filter) []store.Filter {
	switch f := f.(type) {
	case nil:
		return nil
	case store.And:
		var all []store.Filter
		for _, one := range f {
			all = append(all, conjuncts(one)...)
		}
		return all
	}
	return []store.Filter{f}
}

// related adds the stages that look for one related document, and returns the condition that there is one.
func (t translator) related(f store.Related) bson.D {
	n := len(*t.lookups)
	refers, found := hidden("f", n), hidden("r", n)
	by := stored(cmp.Or(f.By, "id"))
	other := translator{plain: t.others(f.Collection), others: t.others}
	inner := pipeline{}
	if guards := other.guards(withoutLast(by)); len(guards) > 0 {
		inner = append(inner, bson.D{{Key: "$match", Value: other.all(guards)}})
	}
	inner = append(inner, other.stages(f.Filter)...)
	inner = append(inner, bson.D{{Key: "$limit", Value: 1}}, bson.D{{Key: "$project", Value: bson.D{{Key: "_id", Value: 1}}}})
	*t.lookups = append(*t.lookups,
		bson.D{{Key: "$addFields", Value: bson.D{{Key: refers, Value: references(stored(f.Field))}}}},
		bson.D{{Key: "$lookup", Value: bson.D{
			{Key: "from", Value: f.Collection},
			{Key: "localField", Value: refers},
			{Key: "foreignField", Value: by},
			{Key: "pipeline", Value: inner},
			{Key: "as", Value: found},
		}}})
	return bson.D{{Key: found, Value: bson.D{{Key: "$ne", Value: bson.A{}}}}}
}

// references is the list of the values by which a field refers to documents. A $lookup compares null with null, lists with lists and an
// empty list with nothing, so all that is left out, and what no document holds is put in.
func references(path string) any {
	v := expressions{at: "$"}.value(path)
	values := bson.D{{Key: "$filter", Value: bson.D{
		{Key: "input", Value: call("$cond", call("$isArray", v), v, bson.A{v})},
		{Key: "cond", Value: call("$not", call("$in", typeOf("$$this"), bson.A{"missing", "undefined", "null", "array", "object"}))},
	}}}
	return call("$concatArrays", values, bson.A{bson.MinKey{}})
}
