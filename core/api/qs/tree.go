package qs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/onehost/edge/core/api/problem"
)

// inherited are names that every JavaScript object has: a parameter that has one of them on its way counts for nothing.
var inherited = []string{
	"__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor", "hasOwnProperty",
	"isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
}

// segments splits a[b][] into a, [b] and []. It is not ok when a segment has a name that all objects have.
func segments(into []string, name string) (chain []string, ok bool, err error) {
	open := strings.IndexByte(name, '[')
	if open < 0 {
		open = len(name)
	}
	if open > 0 {
		if slices.Contains(inherited, name[:open]) {
			return nil, false, nil
		}
		into = append(into, name[:open])
	}
	for depth := 0; open < len(name); depth++ {
		if depth == MaxDepth {
			return nil, false, problem.Validation("The query string has a name with more than %d pairs of brackets", MaxDepth)
		}
		length := group(name[open:])
		if length == 0 {
			return append(into, "["+name[open:]+"]"), true, nil
		}
		one := name[open : open+length]
		if slices.Contains(inherited, one[1:length-1]) {
			return nil, false, nil
		}
		into = append(into, one)
		next := strings.IndexByte(name[open+length:], '[')
		if next < 0 {
			break
		}
		open += length + next
	}
	return into, true, nil
}

// group is how long the group of brackets is that s begins with; 0 when it is not closed.
func group(s string) int {
	level := 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			level++
		case ']':
			if level--; level == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// grow makes the branch that leads through the chain to a leaf.
func grow(chain []string, leaf *Node) *Node {
	for _, one := range slices.Backward(chain) {
		switch name := bare(one); {
		case one == "[]" && leaf.next > 0:
		case one == "[]" && leaf.Kind == List:
		case one == "[]":
			leaf = &Node{Kind: List, Items: []*Node{leaf}}
		case name == "__proto__":
			leaf = &Node{Kind: Object}
		default:
			number, isNumber := index(name)
			switch isNumber = isNumber && name != one; {
			case isNumber && number < MaxList:
				leaf = &Node{Kind: List, Items: []*Node{leaf}, places: gap(number)}
			default:
				leaf = &Node{Kind: Object, Names: []string{name}, Items: []*Node{leaf}}
				if isNumber {
					leaf.next = number + 1
				}
			}
		}
	}
	return leaf
}

// bare is a segment without its brackets.
func bare(segment string) string {
	if strings.HasPrefix(segment, "[") && strings.HasSuffix(segment, "]") {
		return segment[1 : len(segment)-1]
	}
	return segment
}

// index reads a place in a list as JavaScript writes it.
func index(name string) (int, bool) {
	if name == "" || len(name) > 9 || name[0] == '0' && len(name) > 1 {
		return 0, false
	}
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(name)
	return n, err == nil
}

// gap is the places of one item that stands alone.
func gap(place int) []int {
	if place == 0 {
		return nil
	}
	return []int{place}
}

// length is how long JavaScript says that a list is: its gaps count.
func (n *Node) length() int {
	if n.places == nil {
		return len(n.Items)
	}
	return n.places[len(n.places)-1] + 1
}

// place is where item i of a list stands.
func (n *Node) place(i int) int {
	if n.places == nil {
		return i
	}
	return n.places[i]
}

// find is which item of a list stands at a place, or before which one it would.
func (n *Node) find(place int) (i int, there bool) {
	if n.places != nil {
		return slices.BinarySearch(n.places, place)
	}
	return min(place, len(n.Items)), place < len(n.Items)
}

// append adds an item at the end of a list.
func (n *Node) append(item *Node) {
	n.put(len(n.Items), n.length(), item)
}

// put adds an item to a list, before item i.
func (n *Node) put(i, place int, item *Node) {
	if n.places == nil && place != len(n.Items) {
		n.places = make([]int, len(n.Items))
		for j := range n.places {
			n.places[j] = j
		}
	}
	if n.places != nil {
		n.places = slices.Insert(n.places, i, place)
	}
	n.Items = slices.Insert(n.Items, i, item)
}

// combine adds a value to others of the same name.
func combine(to, value *Node) *Node {
	if to.next > 0 {
		to.push(value)
		return to
	}
	if to.Kind != List {
		to = &Node{Kind: List, Items: []*Node{to}}
	}
	to.append(value)
	return to.bounded()
}

// push adds an item to an object that has been a list.
func (n *Node) push(item *Node) {
	n.set(strconv.Itoa(n.next), item)
	n.next++
}

// bounded makes an object of a list that is too long.
func (n *Node) bounded() *Node {
	if n.length() <= MaxList {
		return n
	}
	o := n.numbered()
	o.next = n.length()
	return o
}

// numbered makes an object of a list: its items by their places.
func (n *Node) numbered() *Node {
	o := &Node{Kind: Object}
	for i, item := range n.Items {
		o.Names, o.Items = append(o.Names, strconv.Itoa(n.place(i))), append(o.Items, item)
	}
	return o
}

// merge brings a branch into a tree, by the rules of qs: which are what happens there, and written down nowhere.
func merge(to, from *Node) *Node {
	switch {
	case from.Kind == Null || from.Kind == Text && from.Text == "":
		return to
	case from.Kind == Text && to.Kind == List:
		to.append(from)
		return to.bounded()
	case from.Kind == Text && to.next > 0:
		to.push(from)
		return to
	case from.Kind == Text:
		return &Node{Kind: List, Items: []*Node{to, from}}
	case !to.nested() && from.next > 0:
		return shifted(to, from)
	case !to.nested() && from.Kind == List:
		list := &Node{Kind: List, Items: []*Node{to}}
		for i, item := range from.Items {
			list.put(i+1, from.place(i)+1, item)
		}
		return list.bounded()
	case !to.nested():
		return &Node{Kind: List, Items: []*Node{to, from}}
	case to.Kind == List && from.Kind == List:
		return mergeLists(to, from)
	case to.Kind == List:
		to = to.numbered()
	case from.Kind == List:
		from = from.numbered()
	}
	return mergeObjects(to, from)
}

// shifted puts an item before those of an object that has been a list.
func shifted(first, rest *Node) *Node {
	o := &Node{Kind: Object, Names: []string{"0"}, Items: []*Node{first}, next: rest.next + 1}
	for i, name := range rest.Names {
		if n, ok := index(name); ok {
			o.set(strconv.Itoa(n+1), rest.Items[i])
		} else {
			o.set("NaN", rest.Items[i])
		}
	}
	return o
}

func mergeLists(to, from *Node) *Node {
	for i, item := range from.Items {
		place := from.place(i)
		at, there := to.find(place)
		switch {
		case !there:
			to.put(at, place, item)
		case to.Items[at].nested() && item.nested():
			to.Items[at] = merge(to.Items[at], item)
		default:
			to.append(item)
		}
	}
	return to.bounded()
}

func mergeObjects(to, from *Node) *Node {
	for i, name := range from.Names {
		if at := to.index(name); at >= 0 {
			to.Items[at] = merge(to.Items[at], from.Items[i])
		} else {
			to.Names, to.Items = append(to.Names, name), append(to.Items, from.Items[i])
		}
		if from.next > to.next && to.next == 0 {
			to.next = from.next
		}
		if n, ok := index(name); ok && to.next > 0 {
			to.next = max(to.next, n+1)
		}
	}
	return to
}

// settle closes the gaps in lists, and puts names in order.
func (n *Node) settle() {
	n.places = nil
	n.order()
	for _, item := range n.Items {
		item.settle()
	}
}

// order puts names that are numbers first, as objects of JavaScript have them.
func (n *Node) order() {
	if !slices.ContainsFunc(n.Names, func(name string) bool { _, ok := index(name); return ok }) {
		return
	}
	order := make([]int, len(n.Names))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, isX := index(n.Names[a])
		y, isY := index(n.Names[b])
		switch {
		case isX && isY:
			return x - y
		case isX:
			return -1
		case isY:
			return 1
		}
		return 0
	})
	names, items := make([]string, len(order)), make([]*Node, len(order))
	for i, at := range order {
		names[i], items[i] = n.Names[at], n.Items[at]
	}
	n.Names, n.Items = names, items
}
