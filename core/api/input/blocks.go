package input

import (
	"encoding/json"
	"net/url"
	"strings"
)

// A block of rich text says what it is in its type; the names are Strapi's.
const (
	aText   = "text"
	aLink   = "link"
	anItem  = "list-item"
	aList   = "list"
	minimum = " node children must have at least one "
)

// blocks reads rich text: a list of paragraphs, headings and the like.
func (r *reader) blocks(v any, p path) (any, bool) {
	list, ok := v.([]any)
	if !ok {
		r.mistyped("array", v, p)
		return nil, false
	}
	before := len(r.wrong)
	for i, one := range list {
		r.block(one, p.place(i))
	}
	if len(r.wrong) > before {
		return nil, false
	}
	return r.json(v, p, 1)
}

func (r *reader) block(v any, p path) {
	block, ok := v.(map[string]any)
	if !ok {
		r.mistyped("object", v, p)
		return
	}
	const inline = "Text or Link node"
	switch kind, _ := block["type"].(string); kind {
	case "paragraph":
		r.children(block, p, "Paragraph"+minimum+inline, r.inline)
	case "heading":
		level, _ := block["level"].(json.Number)
		if n, is := whole(level.String()); is != exact || n < 1 || n > 6 {
			r.no(p.at("level"), block["level"], "must be one of the following values: 1, 2, 3, 4, 5, 6")
		}
		r.children(block, p, "Heading"+minimum+inline, r.inline)
	case "quote":
		r.children(block, p, "Quote"+minimum+inline, r.inline)
	case "code":
		r.children(block, p, "Quote"+minimum+inline, r.text)
	case aList:
		r.list(block, p, 1)
	case "image":
		if image, ok := block["image"].(map[string]any); !ok {
			r.mistyped("object", block["image"], p.at("image"))
		} else if _, ok := image["url"].(string); !ok {
			r.no(p.at("image").at("url"), missing{}, "is a required field")
		}
		r.children(block, p, "", r.inline)
	default:
		r.note(p, v, "Block node is of invalid type")
	}
}

// children reads what is in a block; few is what is said when nothing is, "" when that is no matter.
func (r *reader) children(block map[string]any, p path, few string, each func(v any, p path)) {
	p = p.at("children")
	list, ok := block["children"].([]any)
	switch {
	case block["children"] == nil:
		r.no(p, missing{}, "is a required field")
	case !ok:
		r.mistyped("array", block["children"], p)
	case len(list) == 0 && few != "":
		r.note(p, list, few)
	}
	for i, one := range list {
		each(one, p.place(i))
	}
}

func (r *reader) list(block map[string]any, p path, level int) {
	if level > maxDepth/2 {
		r.tooDeep(p)
		return
	}
	if format, _ := block["format"].(string); format != "ordered" && format != "unordered" {
		r.no(p.at("format"), block["format"], "must be one of the following values: ordered, unordered")
	}
	r.children(block, p, "List"+minimum+"ListItem or ListNode", func(v any, p path) {
		item, _ := v.(map[string]any)
		switch item["type"] {
		case anItem:
			r.children(item, p, "", r.inline)
		case aList:
			r.list(item, p, level+1)
		default:
			r.note(p, v, "Inline node must be list-item or list")
		}
	})
}

func (r *reader) inline(v any, p path) {
	node, _ := v.(map[string]any)
	switch node["type"] {
	case aText:
		r.text(v, p)
	case aLink:
		if address, _ := node["url"].(string); !isLink(address) {
			r.note(p.at("url"), node["url"], "Please specify a valid link.")
		}
		r.children(node, p, "", r.text)
	default:
		r.note(p, v, "Inline node must be Text or Link")
	}
}

func (r *reader) text(v any, p path) {
	node, ok := v.(map[string]any)
	if !ok {
		r.mistyped("object", v, p)
		return
	}
	if kind := node["type"]; kind != aText {
		r.no(p.at("type"), kind, "must be one of the following values: text")
	}
	if _, ok := node["text"].(string); !ok {
		r.note(p.at("text"), node["text"], "Text must be defined with at least an empty string")
	}
	for _, mark := range []string{"bold", "italic", "underline", "strikethrough", "code"} {
		if _, ok := node[mark].(bool); !ok && node[mark] != nil {
			r.mistyped("boolean", node[mark], p.at(mark))
		}
	}
}

// isLink accepts an address that a page can safely lead to.
func isLink(address string) bool {
	if strings.HasPrefix(address, "/") {
		return true
	}
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https", "ftp":
		return u.Host != ""
	case "mailto", "tel":
		return true
	}
	return false
}
