// Package qs reads query strings as the npm package qs 6.15 does, with the settings that Strapi 5 gives it: a[b][0]=c is a tree.
//
// In come bytes of strangers, and what of them makes names, lists and texts. What they mean, the room query knows. It differs from qs where qs
// leaves things out in silence: more parameters, or deeper brackets, than there may be are an error here.
package qs

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/onehost/edge/core/api/problem"
)

// Limits of a query string.
const (
	MaxBytes      = 32 << 10
	MaxParameters = 1_000
	MaxDepth      = 20  // pairs of brackets after a name
	MaxList       = 100 // items of a list: what has more becomes an object with numbers for names
)

// A Node is a value of a query string: null (a name without =), a text, a list, or an object.
type Node struct {
	Kind  Kind
	Text  string   // of Text
	Names []string // of Object: the name of each item. Numbers come first, in their order, as in JavaScript
	Items []*Node  // of List and Object

	places []int // of a list with gaps: the place of each item; nil: they follow each other. Only while reading
	next   int   // of an object that was a list with more than MaxList items: the number of the next one; else 0
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

// Get returns the item of that name of an object, nil if there is none.
func (n *Node) Get(name string) *Node {
	if i := n.index(name); i >= 0 {
		return n.Items[i]
	}
	return nil
}

func (n *Node) index(name string) int {
	for i, one := range n.Names {
		if one == name {
			return i
		}
	}
	return -1
}

func (n *Node) set(name string, item *Node) {
	if i := n.index(name); i >= 0 {
		n.Items[i] = item
		return
	}
	n.Names, n.Items = append(n.Names, name), append(n.Items, item)
}

// nested reports whether the node has items of its own.
func (n *Node) nested() bool { return n != nil && n.Kind >= List }

// Parse reads a query string, without its question mark. The tree is an Object. An error is a [problem.Error] that says which limit it goes beyond.
func Parse(raw string) (*Node, error) {
	tree := &Node{Kind: Object}
	if raw == "" {
		return tree, nil
	}
	if len(raw) > MaxBytes {
		return nil, problem.Validation("The query string has %d bytes, and at most %d are taken", len(raw), MaxBytes)
	}
	flat, err := parameters(raw)
	if err != nil {
		return nil, err
	}
	var buffer [MaxDepth + 1]string
	for i, name := range flat.Names {
		chain, ok, err := segments(buffer[:0], name)
		if err != nil {
			return nil, err
		}
		if ok && len(chain) > 0 {
			tree = merge(tree, grow(chain, flat.Items[i]))
		}
	}
	tree.settle()
	return tree, nil
}

// parameters are the values by their whole names, in an object; those of one name are together in a list.
func parameters(raw string) (*Node, error) {
	if n := strings.Count(raw, "&") + 1; n > MaxParameters {
		return nil, problem.Validation("The query string has %d parameters, and at most %d are taken", n, MaxParameters)
	}
	flat := &Node{Kind: Object}
	for part := range strings.SplitSeq(brackets(raw), "&") {
		name, value := part, &Node{}
		at := strings.Index(part, "]=") + 1
		if at == 0 {
			at = strings.IndexByte(part, '=')
		}
		if at >= 0 {
			name, value = part[:at], &Node{Kind: Text, Text: decode(part[at+1:])}
		}
		name = decode(name)
		if i := flat.index(name); i >= 0 {
			flat.Items[i] = combine(flat.Items[i], value)
		} else {
			flat.Names, flat.Items = append(flat.Names, name), append(flat.Items, value)
		}
	}
	flat.order()
	return flat, nil
}

// brackets writes encoded brackets as they are.
func brackets(raw string) string {
	if !strings.Contains(raw, "%5") {
		return raw
	}
	plain := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' && i+2 < len(raw) && raw[i+1] == '5' {
			switch raw[i+2] {
			case 'B', 'b':
				c, i = '[', i+2
			case 'D', 'd':
				c, i = ']', i+2
			}
		}
		plain = append(plain, c)
	}
	return string(plain)
}

// decode undoes the encoding of a name or value. What is not encoded well stays as it is, as decodeURIComponent has it in qs.
func decode(s string) string {
	if strings.IndexByte(s, '+') >= 0 {
		s = strings.ReplaceAll(s, "+", " ")
	}
	if strings.IndexByte(s, '%') >= 0 {
		if plain, err := url.PathUnescape(s); err == nil && utf8.ValidString(plain) {
			return plain
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
