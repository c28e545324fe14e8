package entries

import (
	"context"
	"runtime"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/pace"
)

// Reads that an index leads to begin at once. Those that may have to look through everything there is have lanes of their own, so that a stranger who asks for
// much holds up others who do, and nobody else: a store reads only so much at once.
type lanes struct {
	searches *pace.Slots // which look through the entries of one type
	sweeps   *pace.Slots // which do so for what entries lead to, or many times
}

// manyTexts is how many texts a search looks for at most; with more it is a sweep.
const manyTexts = 4

func newLanes() lanes {
	return lanes{searches: pace.NewSlots(max(runtime.GOMAXPROCS(0)/2, 1)), sweeps: pace.NewSlots(1)}
}

// lane is the one that a read has to wait in; nil: none.
func (l lanes) lane(r *reading, t *schema.Type, q *query.Query) *pace.Slots {
	filter := query.And{}
	for _, e := range []query.Expr{q.Filter, r.only(t, access.Find)} {
		if e != nil {
			filter = append(filter, e)
		}
	}
	texts, hops := effort(q.Filter)
	for _, p := range q.Populate {
		more, deeper := populated(p)
		texts, hops = texts+more, max(hops, deeper)
	}
	sorts := false
	for _, o := range q.Sort {
		hops = max(hops, len(o.Path.Through))
		sorts = sorts || !ordered(o.Path)
	}
	switch {
	case hops > 1 || texts > manyTexts:
		return l.sweeps
	case hops == 0 && texts == 0 && leads(filter), q.Filter == nil && texts == 0 && hops == 0 && !sorts:
		return nil
	}
	return l.searches
}

// in does a read when its lane has room, within its time.
func in(ctx context.Context, lane *pace.Slots, read func(context.Context) error) error {
	if lane == nil {
		return read(ctx)
	}
	if !lane.Acquire(ctx) {
		return ctx.Err()
	}
	defer lane.Release()
	return read(ctx)
}

// effort counts what no index helps with: texts that are looked for, and the most relations that a test leads through.
func effort(e query.Expr) (texts, hops int) {
	switch e := e.(type) {
	case query.And:
		return sum(e)
	case query.Or:
		return sum(e)
	case query.Not:
		return effort(e.Expr)
	case query.Some:
		texts, hops = effort(e.Expr)
		return texts, hops + len(e.Through)
	case query.Test:
		switch e.Op {
		case query.Eq, query.Ne, query.In, query.NotIn, query.Lt, query.Lte, query.Gt, query.Gte, query.Between, query.Null, query.NotNull:
		default:
			texts = 1
		}
		if !direct(e.Path) {
			hops = len(e.Path.Through)
		}
	}
	return texts, hops
}

func sum(all []query.Expr) (texts, hops int) {
	for _, one := range all {
		more, deeper := effort(one)
		texts, hops = texts+more, max(hops, deeper)
	}
	return texts, hops
}

// populated is the effort of what a relation is filled in with.
func populated(p query.Populate) (texts, hops int) {
	texts, hops = effort(p.Query.Filter)
	for _, o := range p.Query.Sort {
		hops = max(hops, len(o.Path.Through))
	}
	for _, inner := range p.Query.Populate {
		more, deeper := populated(inner)
		texts, hops = texts+more, max(hops, deeper)
	}
	return texts, hops
}

// leads reports whether a condition is met only by what an index leads to.
func leads(e query.Expr) bool {
	switch e := e.(type) {
	case query.And:
		for _, one := range e {
			if leads(one) {
				return true
			}
		}
	case query.Or:
		for _, one := range e {
			if !leads(one) {
				return false
			}
		}
		return len(e) > 0
	case query.Test:
		return (e.Op == query.Eq || e.Op == query.In) && (direct(e.Path) || len(e.Path.Through) == 0 && indexed(e.Path))
	}
	return false
}

// direct reports whether a path leads to the id of what an entry itself refers to: the entry has it.
func direct(p query.Path) bool {
	return len(p.Through) == 1 && p.Through[0].Owner() && p.Last == nil && p.System == query.DocumentID
}

// indexed reports whether entries are found by the value that a path leads to, with an index.
func indexed(p query.Path) bool {
	if p.Last == nil {
		return p.System == query.ID || p.System == query.DocumentID
	}
	return p.Last.Indexed || p.Last.Unique
}

// ordered reports whether an index has entries in the order of a value.
func ordered(p query.Path) bool { return len(p.Through) == 0 && indexed(p) }
