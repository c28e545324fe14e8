package query

import (
	"github.com/onehost/edge/core/api/schema"
)

// Options say whose request it is, and how large pages are.
type Options struct {
	Set                   *schema.Set
	May                   May
	PageSize, MaxPageSize int
	Bare                  bool // pages are asked for with start and limit beside filters, and have no total: /users, /upload/files
}

// May is what the caller may see.
type May interface {
	Reads(t *schema.Type) bool  // find or findOne: a request may lead through the type, and fill it in
	Drafts(t *schema.Type) bool // what is not published
}

// Parse reads a query string, without its question mark, of a request for entries of type t. An error is a [problem.Error], with the words of Strapi.
func Parse(raw string, t *schema.Type, o Options) (*Query, error) { panic("unwritten") }

// A FilterError is what is wrong in a filter of the configuration.
type FilterError struct {
	Path    []any // keys, and places in lists, that lead to it
	Message string
}

func (e *FilterError) Error() string { return e.Message }

// Filter reads a filter of the configuration: a tree of map[string]any, []any and plain values. A value may be [User]. An error is a [*FilterError].
func Filter(tree any, t *schema.Type, set *schema.Set) (Expr, error) { panic("unwritten") }

// Bind puts the values of who asks in the place of [User] values. Where there is none, the test neither holds nor does its opposite.
func Bind(e Expr, value func(User) (any, bool)) Expr { panic("unwritten") }
