package store

// A Filter is a condition on a document: And, Or, Not, Compare, In, Text, Has, Some or Related.
//
// Every condition holds or does not: Not turns the one into the other, with null as with any other value. A field is named by its
// path, names joined by dots ("address.city"): each leads into a document; where it leads anywhere else, and where nothing is, the field
// is null. The field id is the document's id.
type Filter interface{ isFilter() }

type (
	// And holds when all hold; of none, always.
	And []Filter

	// Or holds when one holds; of none, never.
	Or []Filter

	// Not holds when the other does not.
	Not struct{ Filter Filter }

	// Compare holds when the field compares so to Value. Eq takes any value but a list or a document; null is equal to
	// null alone. The others take a number, string, bytes, bool or time, and hold only between values of one kind: no string
	// is less than a number, and null is neither less nor greater than anything.
	Compare struct {
		Field string
		Op    Op
		Value any // or [Now]
	}

	// In holds when the field is equal to one of the values.
	In struct {
		Field  string
		Values []any
	}

	// Text holds when the field is a string that has Value, of at most MaxText bytes, where Op says.
	Text struct {
		Field string
		Op    TextOp
		Value string
		Fold  bool // whether letters of either case are the same: Unicode's simple case folding
	}

	// Has holds when the field is a list and one of its values is equal to Value, which is no list, document or null.
	Has struct {
		Field string
		Value any
	}

	// Some holds when the field is a list, and one of the documents in it meets the condition. Paths in it begin at that document.
	// It may not hold a Related.
	Some struct {
		Field  string
		Filter Filter
	}

	// Related holds when a document of another collection meets Filter, and is the one, or one of those, that Field refers to: its field By
	// is equal to Field. Either may be a list: then one of its values has to be equal. Null, and a list or document in a list, refers to nothing. Both collections are
	// private, or neither is.
	Related struct {
		Field      string // of this document
		Collection string // the other
		By         string // of the other document; "" is id
		Filter     Filter // on the other document; nil: any
	}
)

func (And) isFilter()     {}
func (Or) isFilter()      {}
func (Not) isFilter()     {}
func (Compare) isFilter() {}
func (In) isFilter()      {}
func (Text) isFilter()    {}
func (Has) isFilter()     {}
func (Some) isFilter()    {}
func (Related) isFilter() {}

// Op is how two values compare.
type Op string

// Comparisons.
const (
	Equal          Op = "="
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
)

// TextOp is where in a string another one is looked for.
type TextOp string

// Places in a string.
const (
	Whole    TextOp = "whole" // it is the other one
	Contains TextOp = "contains"
	Prefix   TextOp = "prefix"
	Suffix   TextOp = "suffix"
)

// ID holds for the document of that id.
func ID(id string) Filter { return Compare{"id", Equal, id} }

// Eq holds when the field is equal to v.
func Eq(field string, v any) Filter { return Compare{field, Equal, v} }

// Ne holds when the field is not equal to v.
func Ne(field string, v any) Filter { return Not{Compare{field, Equal, v}} }

// Null holds when the field is null.
func Null(field string) Filter { return Compare{field, Equal, nil} }

// Lt holds when the field is less than v.
func Lt(field string, v any) Filter { return Compare{field, Less, v} }

// Lte holds when the field is less than v or equal to it.
func Lte(field string, v any) Filter { return Compare{field, LessOrEqual, v} }

// Gt holds when the field is greater than v.
func Gt(field string, v any) Filter { return Compare{field, Greater, v} }

// Gte holds when the field is greater than v or equal to it.
func Gte(field string, v any) Filter { return Compare{field, GreaterOrEqual, v} }

// OneID returns the one id that documents which meet f can have, if its outermost conditions ask for one.
func OneID(f Filter) (id string, ok bool) {
	switch f := f.(type) {
	case Compare:
		id, ok = f.Value.(string)
		return id, ok && f.Field == "id" && f.Op == Equal
	case And:
		for _, one := range f {
			if id, ok = OneID(one); ok {
				return id, true
			}
		}
	}
	return "", false
}
