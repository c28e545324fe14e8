package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A node is a value in a file: YAML's own node with its aliases followed. JSON is read as the YAML that it is.
type node struct {
	place
	kind  yaml.Kind
	tag   string // of a scalar
	text  string // of a scalar
	items []*node
	pairs []pair
}

// A pair is a key of a mapping with its value.
type pair struct {
	key   string
	at    place
	value *node
}

// A place is where in a file something stands, as YAML counts it: columns in characters.
type place struct {
	file         *file
	line, column int
}

// A file is one that describes a type or a component.
type file struct {
	name string // as in problems
	text string
}

// problem says what is wrong at a place.
func (p place) problem(message string) Problem {
	if p.file == nil {
		return Problem{Message: message}
	}
	return Problem{File: p.file.name, Line: p.line, Col: p.file.column(p.line, p.column), Message: message}
}

// column turns a column in characters into one in bytes.
func (f *file) column(line, characters int) int {
	text := f.text
	for range line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	n := 0
	for i, r := range text {
		if n++; n == characters || r == '\n' {
			return i + 1
		}
	}
	return len(text) + 1
}

// at is the place of a byte of the text.
func (f *file) at(offset int) place {
	before := f.text[:min(max(offset, 0), len(f.text))]
	start := strings.LastIndexByte(before, '\n') + 1
	return place{f, strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1}
}

// A parser turns the text of one file into nodes, within bounds.
type parser struct {
	file  *file
	nodes int
}

// errAt is what is wrong at a place.
type errAt struct {
	place
	message string
}

func (e *errAt) Error() string { return e.message }

// parse reads a file. The error is an [*errAt].
func (f *file) parse() (*node, error) {
	text := f.text
	if strings.HasSuffix(f.name, ".json") {
		if err := f.json(); err != nil {
			return nil, err
		}
		text = joinSurrogates(text)
	}
	loader, err := yaml.NewLoader(strings.NewReader(text))
	if err != nil {
		return nil, f.yamlError(err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, &errAt{place{f, 1, 1}, "the file is empty"}
	} else if err != nil {
		return nil, f.yamlError(err)
	}
	if err := loader.Load(&second); err == nil {
		return nil, &errAt{place{f, second.Line, second.Column}, "a second YAML document begins here; a file describes one type or component"}
	} else if !errors.Is(err, io.EOF) {
		return nil, f.yamlError(err)
	}
	return (&parser{file: f}).node(doc.Content[0], 1)
}

// json refuses what YAML would take but no other reader of JSON.
func (f *file) json() error {
	var raw json.RawMessage
	err := json.Unmarshal([]byte(f.text), &raw)
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &errAt{f.at(int(e.Offset) - 1), "JSON: " + e.Error()}
	}
	if err != nil {
		return &errAt{place{f, 1, 1}, "JSON: " + err.Error()}
	}
	return nil
}

// joinSurrogates writes characters that JSON escapes as two halves (RFC 8259, section 7) as YAML does: in one.
func joinSurrogates(text string) string {
	var b strings.Builder
	from := 0
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if r := utf16.DecodeRune(escape(text[i:]), escape(text[min(i+6, len(text)):])); r != utf8.RuneError {
			fmt.Fprintf(&b, `%s\U%08X`, text[from:i], r)
			from = i + 12
			i = from - 1
			continue
		}
		i++
	}
	return b.String() + text[from:]
}

// escape is the \uXXXX that a text begins with; 0 if it does not.
func escape(text string) rune {
	if len(text) < 6 || text[:2] != `\u` {
		return 0
	}
	n, err := strconv.ParseUint(text[2:6], 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// yamlError says where a file is no YAML.
func (f *file) yamlError(err error) error {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return &errAt{place{f, 1, 1}, "YAML: " + err.Error()}
	}
	at := place{f, e.Mark.Line, e.Mark.Column}
	if e.Mark.Line == 0 {
		at = f.at(e.Mark.Index)
	}
	message := "YAML: " + e.Message
	if e.ContextMsg != "" {
		message += ", " + e.ContextMsg
	}
	return &errAt{at, message}
}

// node copies a YAML node and what is in it.
func (p *parser) node(y *yaml.Node, depth int) (*node, error) {
	n := &node{place: place{p.file, y.Line, y.Column}}
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	n.kind, n.tag, n.text = y.Kind, y.ShortTag(), y.Value
	p.nodes++
	switch {
	case p.nodes > maxNodes:
		return nil, &errAt{n.place, fmt.Sprintf("the file has more than %d values, those of aliases counted each time", maxNodes)}
	case depth > maxDepth:
		return nil, &errAt{n.place, fmt.Sprintf("values are nested in each other more than %d deep", maxDepth)}
	case n.tag == "!!merge", strings.HasPrefix(n.tag, "!") && !strings.HasPrefix(n.tag, "!!"):
		return nil, &errAt{n.place, "tags and merge keys (<<) are not supported"}
	}
	for i, y := range y.Content {
		one, err := p.node(y, depth+1)
		if err != nil {
			return nil, err
		}
		switch {
		case n.kind == yaml.SequenceNode:
			n.items = append(n.items, one)
		case i%2 == 1:
			n.pairs[i/2].value = one
		case one.kind != yaml.ScalarNode:
			return nil, &errAt{one.place, "a key is a text"}
		default:
			n.pairs = append(n.pairs, pair{key: one.text, at: one.place})
		}
	}
	return n, p.onlyOnce(n)
}

// onlyOnce refuses a mapping that has a key twice.
func (p *parser) onlyOnce(n *node) error {
	seen := make(map[string]bool, len(n.pairs))
	for _, e := range n.pairs {
		if seen[e.key] {
			return &errAt{e.at, strconv.Quote(clip(e.key)) + " is given twice"}
		}
		seen[e.key] = true
	}
	return nil
}

// what names the kind of value for a message.
func (n *node) what() string {
	switch {
	case n.kind == yaml.MappingNode:
		return "a mapping"
	case n.kind == yaml.SequenceNode:
		return "a list"
	}
	switch n.tag {
	case "!!null":
		return "null"
	case "!!bool":
		return n.text
	case "!!int", "!!float":
		return n.text
	}
	return strconv.Quote(clip(n.text))
}

func (n *node) isNull() bool { return n.kind == yaml.ScalarNode && n.tag == "!!null" }

// isText reports whether it is a text: what YAML takes for a date is one, too.
func (n *node) isText() bool {
	return n.kind == yaml.ScalarNode && (n.tag == "!!str" || n.tag == "!!timestamp")
}

// value is the node as a store takes it, and as JSON would have it.
func (n *node) value() (any, error) {
	if n.kind == yaml.MappingNode {
		m := make(map[string]any, len(n.pairs))
		for _, e := range n.pairs {
			v, err := e.value.value()
			if err != nil {
				return nil, err
			}
			m[e.key] = v
		}
		return m, nil
	}
	if n.kind == yaml.SequenceNode {
		list := make([]any, len(n.items))
		for i, item := range n.items {
			v, err := item.value()
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	}
	switch n.tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.text, "true"), nil
	case "!!int", "!!float":
		return n.number()
	}
	return n.text, nil
}

// number is a number as JSON writes it: an int64 if it is whole and fits, else a float64.
func (n *node) number() (any, error) {
	if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, &errAt{n.place, n.text + " is no number as JSON writes them"}
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), nil
	}
	return f, nil
}

// clip shortens a text for a message.
func clip(text string) string {
	const most = 80
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
