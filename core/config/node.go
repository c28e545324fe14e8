package config

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A node is a value in a file: YAML's own node with its aliases followed, and with the file it stands in.
type node struct {
	src     *source
	place   place
	kind    kind
	tag     string // of a scalar
	text    string // of a scalar, before ${…} is expanded
	items   []*node
	entries []entry
}

type kind string

const (
	scalar   kind = "a scalar"
	sequence kind = "a list"
	mapping  kind = "a mapping"
)

// An entry is a key of a mapping with its value.
type entry struct{ key, value *node }

// isNull tells a key without a value.
func (n *node) isNull() bool { return n.kind == scalar && n.tag == yamlNull }

// isMapping tells a mapping, also one without any key yet.
func (n *node) isMapping() bool { return n.kind == mapping || n.isNull() }

// what names the kind of value for a message.
func (n *node) what() string {
	if n.kind != scalar {
		return string(n.kind)
	}
	switch n.tag {
	case yamlNull:
		return "empty"
	case yamlInt, yamlFloat:
		return "a number"
	case yamlBool:
		return "on or off"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// A composer turns the text of files into nodes, within bounds that hold for all of them together.
type composer struct {
	nodes    int
	problems []Problem
}

// compose parses a file. It returns nil if the file is empty or has a problem, which is then noted.
func (c *composer) compose(src *source) *node {
	if offset, why := src.unreadable(); offset >= 0 {
		c.fail(src.atByte(offset), why)
		return nil
	}
	loader, err := yaml.NewLoader(strings.NewReader(src.text))
	if err != nil {
		c.fail(yamlProblem(src, err))
		return nil
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		c.fail(yamlProblem(src, err))
		return nil
	}
	if err := loader.Load(&second); err == nil {
		c.fail(src.at(second.Line, second.Column), "a second YAML document begins here; a configuration is one")
		return nil
	} else if !errors.Is(err, io.EOF) {
		c.fail(yamlProblem(src, err))
		return nil
	}
	before := len(c.problems)
	root := c.node(src, doc.Content[0], 0)
	if len(c.problems) > before {
		return nil
	}
	return root
}

func (c *composer) fail(at place, message string) {
	c.problems = append(c.problems, at.problem(message))
}

// node copies a YAML node and what is in it. It returns nil once a bound is passed.
func (c *composer) node(src *source, y *yaml.Node, depth int) *node {
	at := src.at(y.Line, y.Column)
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	c.nodes++
	switch {
	case c.nodes > maxNodes:
		if c.nodes == maxNodes+1 {
			c.fail(at, fmt.Sprintf("the configuration has more than %d keys and values, those of aliases counted each time", maxNodes))
		}
		return nil
	case depth > maxDepth:
		c.fail(at, fmt.Sprintf("values are nested in each other more than %d deep", maxDepth))
		c.nodes = maxNodes + 1
		return nil
	case strings.HasPrefix(y.Tag, "!") && !knownTag(y.Tag):
		c.fail(at, "tags such as "+clip(y.Tag)+" are not supported")
	case y.Tag == "!!merge":
		c.fail(at, "merge keys (<<) are not supported; repeat the keys, or use an alias (*name) for a whole value")
	}
	n := &node{src: src, place: at, kind: scalar, tag: y.Tag, text: y.Value}
	if y.Kind == yaml.MappingNode {
		n.kind = mapping
		for i := 0; i+1 < len(y.Content) && c.nodes <= maxNodes; i += 2 {
			n.entries = append(n.entries, entry{c.node(src, y.Content[i], depth+1), c.node(src, y.Content[i+1], depth+1)})
		}
	}
	if y.Kind == yaml.SequenceNode {
		n.kind = sequence
		for i := 0; i < len(y.Content) && c.nodes <= maxNodes; i++ {
			n.items = append(n.items, c.node(src, y.Content[i], depth+1))
		}
	}
	return n
}

func knownTag(tag string) bool {
	switch tag {
	case yamlText, yamlInt, yamlFloat, yamlBool, yamlNull, "!!timestamp", "!!merge", "!!map", "!!seq":
		return true
	}
	return false
}

// segment is what a path's {name} looks like where YAML takes it for a mapping.
var segment = regexp.MustCompile(`/\{[A-Za-z0-9_-]+\}`)

// yamlProblem says where a file is no YAML, and what to do where that is a common mistake.
func yamlProblem(src *source, err error) (place, string) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return src.at(1, 1), "YAML: " + err.Error()
	}
	at, message := src.at(e.Mark.Line, e.Mark.Column), "YAML: "+e.Message
	if e.Mark.Line == 0 {
		at = src.atByte(e.Mark.Index)
	}
	if e.ContextMark.Line > 0 && e.ContextMsg != "" {
		start := src.at(e.ContextMark.Line, e.ContextMark.Column)
		message += ", " + e.ContextMsg
		if strings.Contains(e.Message, "end of stream") {
			at = start
		}
		if start != at {
			message += fmt.Sprintf(" that begins at %d:%d", start.line, start.col)
		}
	}
	switch {
	case strings.HasPrefix(strings.TrimLeft(src.line(at.line), " "), "\t"):
		message += "; indent with spaces, not with tabs"
	case strings.Contains(e.Message, "mapping values are not allowed"):
		message += `; put a text that has ": " in it in quotes`
	case strings.Contains(e.Message, "did not find expected ',' or '}'") && segment.MatchString(src.line(at.line)):
		message += `; put a text that has {…} in it in quotes: "/hook/{id}"`
	case strings.Contains(e.Message, "cannot start any token"):
		message += "; put a text that begins with @, ` or % in quotes"
	case strings.Contains(e.Message, "unknown anchor"), strings.Contains(e.ContextMsg, "scanning an alias"):
		message += `; put a text that begins with * in quotes`
	}
	return at, message
}
