package query

import (
	"errors"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
	"github.com/onehost/edge/core/api/schema"
)

// Limits of what one request asks for, populated entries included.
const (
	maxConditions = 100     // tests in its filters
	maxNesting    = 10      // levels of a filter
	maxValues     = 500     // values of an $in
	maxText       = 4 << 10 // bytes of a value
	maxHops       = 4       // relations on the way to a value
	maxOrders     = 7       // fields that it sorts by
	maxPopulates  = 50      // attributes that are filled in by name
	maxPopulate   = 5       // levels of them
)

// Options say whose request it is, and how large pages are.
type Options struct {
	Set                   *schema.Set
	May                   May
	PageSize, MaxPageSize int
	One                   bool // one entry is asked for: what is said of pages counts for nothing
	Bare                  bool // pages are asked for with start and limit beside filters, and have no total: /users, /upload/files
}

// May is what the caller may see.
type May interface {
	Reads(t *schema.Type) bool  // a request may lead through the type, and fill it in
	Drafts(t *schema.Type) bool // what is not published
}

// Parse reads a query string, without its question mark, of a request for entries of type t. An error is a [problem.Error], with the words of Strapi
// 5.54 (its packages utils and core), and 400 where that answers 500.
func Parse(raw string, t *schema.Type, o Options) (*Query, error) {
	q := &Query{Page: Page{Limit: o.PageSize, Size: true, Count: true}}
	if o.Bare {
		q.Page = Page{Limit: o.MaxPageSize}
	}
	if raw == "" {
		return q, nil
	}
	tree, err := qs.Parse(raw)
	if err != nil {
		return nil, err
	}
	r := &reader{Options: o}
	in := scope{t: t}
	if q.Filter, err = r.filters(tree.Get("filters"), in); err != nil {
		return nil, err
	}
	if q.Sort, err = r.sort(tree.Get("sort"), in); err != nil {
		return nil, err
	}
	if q.Fields, err = r.fields(tree.Get("fields"), in); err != nil {
		return nil, err
	}
	if q.Populate, err = r.populate(tree.Get("populate"), in, way{}, 1); err != nil {
		return nil, populating(err)
	}
	if q.Draft, err = r.status(tree.Get("status"), t); err != nil {
		return nil, err
	}
	if q.Locale, err = r.locale(tree.Get("locale"), t); err != nil {
		return nil, err
	}
	switch {
	case o.One:
	case o.Bare:
		q.Page, err = r.bare(tree)
	default:
		q.Page, err = r.page(tree.Get("pagination"))
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

// A reader reads one query, and counts what it asks for.
type reader struct {
	Options
	conditions, populates int

	config *place // of a filter of the configuration; nil: of a request
}

// A scope is what names are looked up in: a type, or a component.
type scope struct {
	t *schema.Type
	c *schema.Component
}

func (s scope) uid() string {
	if s.c != nil {
		return s.c.UID
	}
	return s.t.UID
}

// name is what the configuration calls the scope.
func (s scope) name() string {
	if s.c != nil {
		return s.c.UID
	}
	return s.t.Name
}

func (s scope) attributes() []*schema.Attribute {
	if s.c != nil {
		return s.c.Attributes
	}
	return s.t.Attributes
}

func (s scope) attribute(name string) *schema.Attribute {
	if s.c != nil {
		return s.c.Attribute(name)
	}
	return s.t.Attribute(name)
}

// system finds a field that every entry has, or every component; "" if it is none.
func (s scope) system(name string) System {
	switch one := System(name); one {
	case ID:
		return one
	case DocumentID, CreatedAt, UpdatedAt, PublishedAt:
		if s.t != nil {
			return one
		}
	case Locale:
		if s.t != nil && s.t.Localized {
			return one
		}
	}
	return ""
}

// below is the scope that a relation, media or a component leads to.
func below(a *schema.Attribute) scope {
	if a.Kind == schema.Part {
		return scope{c: a.Component}
	}
	return scope{t: a.Target}
}

// visible reports whether an attribute may be filtered and sorted by, and asked for.
func (r *reader) visible(a *schema.Attribute) bool {
	return a.Kind != schema.Password && (!a.Private || r.config != nil)
}

// reads reports whether the request may lead through the attribute. Files are as readable as what they are part of, as in Strapi.
func (r *reader) reads(a *schema.Attribute) bool {
	return a.Kind != schema.RelationTo || r.config != nil || r.May.Reads(a.Target)
}

// invalidKey is a name that is unknown, or that may not be used; path is where it stands, "" if nothing is there.
func invalidKey(param, key, path string) *problem.Error {
	k := problem.Key{Key: key, Source: "query", Param: param}
	if path != "" {
		k.Path = path
	}
	return problem.InvalidKey(k)
}

// invalidValue is a value that can't be meant. Strapi answers 500 to most of those.
func invalidValue(param, path, format string, args ...any) *problem.Error {
	e := problem.Validation(format, args...)
	key := path[strings.LastIndexByte(path, '.')+1:]
	e.Details = problem.Key{Key: key, Path: path, Source: "query", Param: param}
	return e
}

// populating says of what is wrong below populate that it stands there.
func populating(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		if key, ok := p.Details.(problem.Key); ok {
			key.Param = "populate"
			p.Details = key
		}
	}
	return err
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shown is a value for a message, shortened.
func shown(text string) string {
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "…"
	}
	return `"` + text + `"`
}

func (r *reader) status(n *qs.Node, t *schema.Type) (draft bool, err error) {
	switch {
	case n == nil || n.Kind == qs.Null || n.Kind == qs.Text && n.Text == "published":
		return false, nil
	case n.Kind != qs.Text || n.Text != "draft":
		return false, invalidValue("status", "status", "Invalid status. Expected draft or published")
	case !t.Drafts:
		return false, nil
	case !r.May.Drafts(t):
		return false, problem.Forbidden()
	}
	return true, nil
}

func (r *reader) locale(n *qs.Node, t *schema.Type) (string, error) {
	switch {
	case n == nil || n.Kind == qs.Null || !t.Localized || n.Kind == qs.Text && n.Text == "":
		return "", nil
	case n.Kind != qs.Text || n.Text != "*" && !slices.Contains(r.Set.Locales(), n.Text):
		return "", invalidValue("locale", "locale", "Invalid locale. Expected * or one of: %s", strings.Join(r.Set.Locales(), ", "))
	}
	return n.Text, nil
}
