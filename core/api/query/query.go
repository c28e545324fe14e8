// Package query is what a request asks for: filters, order, fields, relations to be filled in, a page. It comes as a query string in Strapi's conventions,
// or as a filter in the configuration, and is checked against the content types here: what comes out names only what there is.
//
// In comes what can be asked for. How it is found in a store, the room entries knows.
package query

import (
	"github.com/onehost/edge/core/api/schema"
)

// A Query asks for entries of one type.
type Query struct {
	Filter   Expr // nil: all
	Sort     []Order
	Fields   []string // names of scalar attributes and of system fields. Nil: all. id and documentId come always
	Populate []Populate
	Page     Page
	Draft    bool   // the drafts instead of what is published; of types with drafts
	Locale   string // of localized types: "" is the default, * all
}

// Page is which of the entries.
type Page struct {
	Start, Limit int
	Size         bool // asked for, and answered, as page and pageSize
	Count        bool // whether the total is wanted
}

// An Order sorts by one field.
type Order struct {
	Path       Path
	Descending bool
}

// Populate fills in what an attribute leads to.
type Populate struct {
	Attribute *schema.Attribute
	Count     bool                         // only how many there are
	Query     Query                        // on the entries that it leads to; of a component its fields and what to fill in there
	On        map[*schema.Component]*Query // of a dynamic zone: by component. Nil: all components, whole
}

// A Path leads to a value of an entry, or of another one that it refers to.
type Path struct {
	Through []*schema.Attribute // relations, media and components on the way
	Last    *schema.Attribute   // nil: System
	System  System
}

// System is a field that every entry has.
type System string

// System fields.
const (
	ID          System = "id" // the number
	DocumentID  System = "documentId"
	CreatedAt   System = "createdAt"
	UpdatedAt   System = "updatedAt"
	PublishedAt System = "publishedAt"
	Locale      System = "locale"
)

// An Expr is a condition on an entry: And, Or, Not, Some or Test.
//
// It holds, does not hold, or says nothing where a value is null, as in SQL: neither Test nor Not of it hold for null, but for $null and $notNull.
type Expr interface{ isExpr() }

type (
	// And holds when all hold; of none, always.
	And []Expr

	// Or holds when one holds; of none, never.
	Or []Expr

	// Not holds when the other does not hold.
	Not struct{ Expr Expr }

	// Some holds when one of the entries or components that Through leads to meets the condition, all of it. Paths in it begin there.
	// It stands for more than one test of the same of many; a single one is a Test.
	Some struct {
		Through []*schema.Attribute
		Expr    Expr
	}

	// Test compares a value. Through a relation it holds when it does so for one of the entries there. Null holds, too, when there is none.
	Test struct {
		Path   Path
		Op     Op
		Values []any // as the store keeps values of the attribute, or [User]: one; two of Between; any number of In and NotIn; one bool of Null and NotNull
	}
)

func (And) isExpr()  {}
func (Or) isExpr()   {}
func (Not) isExpr()  {}
func (Some) isExpr() {}
func (Test) isExpr() {}

// User stands for a value of who asks, in a filter of the configuration: $user.id, $user.documentId, $user.ATTRIBUTE.
type User string

// Op is an operator of a filter.
type Op string

// Operators.
const (
	Eq           Op = "$eq"
	Eqi          Op = "$eqi"
	Ne           Op = "$ne"
	Nei          Op = "$nei"
	Lt           Op = "$lt"
	Lte          Op = "$lte"
	Gt           Op = "$gt"
	Gte          Op = "$gte"
	In           Op = "$in"
	NotIn        Op = "$notIn"
	Contains     Op = "$contains"
	NotContains  Op = "$notContains"
	Containsi    Op = "$containsi"
	NotContainsi Op = "$notContainsi"
	StartsWith   Op = "$startsWith"
	StartsWithi  Op = "$startsWithi"
	EndsWith     Op = "$endsWith"
	EndsWithi    Op = "$endsWithi"
	Null         Op = "$null"
	NotNull      Op = "$notNull"
	Between      Op = "$between"
)
