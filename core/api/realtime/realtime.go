// Package realtime tells those who follow a content type what happens to its entries, as server-sent events (WHATWG HTML, section 9.2).
//
// In comes how changes reach who follows them. What a request asks for and who may, the api has decided before; entries, and their form, come from there too.
package realtime

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Options are what a Realtime needs.
type Options struct {
	Store store.Store
	Log   *slog.Logger
}

// A Realtime follows the collection of changes and tells those who have asked.
type Realtime struct{}

// A Stream is what somebody follows.
type Stream struct {
	Type  *schema.Type
	Query *query.Query
	Scope access.Scope
	Valid func(context.Context) bool // whether the caller may go on; asked every 30 s. Nil: always
}

// New returns a Realtime that tells nothing before Use and Run.
func New(Options) *Realtime { panic("unwritten") }

// Use has streams end whose type is not in the set as it was: who follows it comes again.
func (r *Realtime) Use(*schema.Set) { panic("unwritten") }

// Run follows the changes until ctx ends.
func (r *Realtime) Run(context.Context) error { panic("unwritten") }

// Drain ends all streams: those who follow come again, to the process that takes this one's place.
func (r *Realtime) Drain() { panic("unwritten") }

// Serve answers with a stream until it ends. An error is what the answer is to be instead: nothing has been written then.
func (r *Realtime) Serve(http.ResponseWriter, *http.Request, Stream) error { panic("unwritten") }
