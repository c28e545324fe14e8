package forms

import (
	"bytes"
	"strconv"

	"golang.org/x/net/html"
)

// A page is a tree, which x/net/html writes: it escapes every text and every value. html/template does as well, but finds methods by their names, so that
// the linker keeps all that every type has: a third of the binary.

// element is an element with its attributes, and those children that there are.
func element(name string, attributes []html.Attribute, children ...*html.Node) *html.Node {
	n := &html.Node{Type: html.ElementNode, Data: name, Attr: attributes}
	for _, child := range children {
		if child != nil {
			n.AppendChild(child)
		}
	}
	return n
}

func text(s string) *html.Node { return &html.Node{Type: html.TextNode, Data: s} }

// with are attributes: name, value, name, value, …
func with(pairs ...string) []html.Attribute {
	attributes := make([]html.Attribute, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		attributes = append(attributes, html.Attribute{Key: pairs[i], Val: pairs[i+1]})
	}
	return attributes
}

// document is a whole page.
func document(title string, content ...*html.Node) []byte {
	heading := element("h1", nil, text(title))
	doc := &html.Node{Type: html.DocumentNode}
	doc.AppendChild(&html.Node{Type: html.DoctypeNode, Data: "html"})
	doc.AppendChild(element("html", with("lang", "en"),
		element("head", nil,
			element("meta", with("charset", "utf-8")),
			element("meta", with("name", "viewport", "content", "width=device-width, initial-scale=1")),
			element("meta", with("name", "robots", "content", "noindex")),
			element("title", nil, text(title)),
			element("style", nil, text(pageStyle))),
		element("body", nil, element("main", nil, append([]*html.Node{heading}, content...)...))))
	var b bytes.Buffer
	_ = html.Render(&b, doc) // a buffer takes everything, and these trees can be written: every test would show it
	return b.Bytes()
}

func paragraph(s string) *html.Node { return element("p", nil, text(s)) }

// form is the form of a page, which is sent to where the page is from.
func (p *page) form(content ...*html.Node) *html.Node {
	attributes := with("method", "post")
	if p.Multipart {
		attributes = append(attributes, with("enctype", "multipart/form-data")...)
	}
	form := element("form", attributes)
	for _, h := range p.Hidden {
		form.AppendChild(element("input", with("type", "hidden", "name", h.Name, "value", h.Value)))
	}
	for _, n := range content {
		form.AppendChild(n)
	}
	for i := range p.Inputs {
		form.AppendChild(p.Inputs[i].markup())
	}
	form.AppendChild(element("button", with("type", "submit"), text("Send")))
	return form
}

// summary says all that is wrong, with a link to each field.
func (p *page) summary() *html.Node {
	list := element("ul", nil)
	for _, w := range p.Wrong {
		list.AppendChild(element("li", nil, element("a", with("href", "#"+w.ID), text(w.Label+": "+w.Reason))))
	}
	return element("div", with("class", "summary", "role", "alert"), element("h2", nil, text("This needs your attention")), list)
}

// markup is the field with its label, and what is wrong with it.
func (in *input) markup() *html.Node {
	label := element("label", with("for", in.ID), text(in.Label))
	if in.Required {
		label.AppendChild(text(" "))
		label.AppendChild(element("span", with("class", "quiet"), text("(required)")))
	}
	var reason *html.Node
	if in.Reason != "" {
		reason = element("p", with("class", "reason", "id", in.ID+"-reason"), text(in.Reason))
	}
	if in.Type == "checkbox" {
		return element("div", with("class", "field box"), in.control(), label, reason)
	}
	return element("div", with("class", "field"), label, in.control(), reason)
}

// control is what is filled in.
func (in *input) control() *html.Node {
	switch in.Type {
	case "textarea":
		return element("textarea", in.about(), text(in.Value))
	case "select":
		return in.selection()
	case "checkbox":
		attributes := with("type", "checkbox", "value", in.Value)
		if in.Checked {
			attributes = append(attributes, with("checked", "")...)
		}
		return element("input", append(attributes, in.about()...))
	}
	attributes := with("type", in.Type)
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, html.Attribute{Key: name, Val: value})
		}
	}
	add("value", in.Value)
	if in.Type == "number" {
		add("step", "any")
	}
	add("min", bound(in.Least))
	add("max", bound(in.Most))
	add("accept", in.Accept)
	add("autocomplete", in.Autocomplete)
	if in.Several {
		attributes = append(attributes, with("multiple", "")...)
	}
	return element("input", append(attributes, in.about()...))
}

func bound(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func (in *input) selection() *html.Node {
	list := element("select", in.about())
	if in.Several {
		list.Attr = append(list.Attr, with("multiple", "")...)
	} else {
		list.AppendChild(element("option", with("value", ""), text("Choose one")))
	}
	for _, c := range in.Options {
		attributes := with("value", c.Value)
		if c.Chosen {
			attributes = append(attributes, with("selected", "")...)
		}
		list.AppendChild(element("option", attributes, text(c.Value)))
	}
	return list
}

// about are the attributes that every control has.
func (in *input) about() []html.Attribute {
	attributes := with("name", in.Name, "id", in.ID)
	if in.Required {
		attributes = append(attributes, with("required", "")...)
	}
	if in.Reason != "" {
		attributes = append(attributes, with("aria-invalid", "true", "aria-describedby", in.ID+"-reason")...)
	}
	return attributes
}
