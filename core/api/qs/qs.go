// Package qs reads query strings as the npm package qs does, with the settings that Strapi 5 gives it: a[b][0]=c is a tree.
//
// In come bytes of strangers, and what of them makes names, lists and texts. What they mean, the room query knows.
package qs

// A Node is a value of a query string: a text, null (a name without =), a list, or an object.
type Node struct {
	Kind  Kind
	Text  string   // of Text
	Items []*Node  // of List and Object
	Names []string // of Object: the name of each item, in the order in which they came
}

// Kind is what a node is.
type Kind uint8

// Kinds of nodes.
const (
	Null Kind = iota
	Text
	List
	Object
)

// Parse reads a query string, without its question mark. The tree is an Object. An error is a [problem.Error] with status 400.
func Parse(raw string) (*Node, error) { panic("unwritten") }

// Get returns the item of that name of an object, nil if there is none.
func (n *Node) Get(name string) *Node { panic("unwritten") }
