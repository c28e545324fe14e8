package query

import (
	"math"
	"strconv"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
)

// maxStart bounds how many entries a page leaves out.
const maxStart = 1 << 40

// page reads page and pageSize, or start and limit. What Strapi makes of odd numbers is what its clients know: no size is the smallest, no
// number the largest.
func (r *reader) page(n *qs.Node) (p Page, err error) {
	p = Page{Limit: r.PageSize, Size: true, Count: true}
	if n == nil || n.Kind != qs.Object {
		return p, nil
	}
	page, size := given(n, "page"), given(n, "pageSize")
	start, limit := given(n, "start"), given(n, "limit")
	paged, offset := page != nil || size != nil, start != nil || limit != nil
	if paged && offset {
		e := problem.Validation("Cannot use both page & offset pagination in the same query")
		e.Name = "PaginationError"
		return p, e
	}
	p.Size = !offset
	if offset {
		size = limit
	}
	if size != nil {
		if p.Limit, err = r.limit(number(size)); err != nil {
			return p, err
		}
	}
	skip := 0.0
	if page != nil {
		skip = (number(page) - 1) * float64(p.Limit)
	} else if start != nil {
		skip = number(start)
	}
	if p.Start, err = first(math.Max(skip, 0)); err != nil {
		return p, err
	}
	p.Count, err = counted(n)
	return p, err
}

// given is a value that is not null.
func given(n *qs.Node, name string) *qs.Node {
	if one := n.Get(name); one != nil && one.Kind != qs.Null {
		return one
	}
	return nil
}

// limit is how many entries are asked for.
func (r *reader) limit(n float64) (int, error) {
	switch n = math.Max(n, 1); {
	case !(n < float64(r.MaxPageSize)):
		return r.MaxPageSize, nil
	case n != math.Trunc(n):
		return 0, problem.Validation("convertLimitQueryParams expected a positive integer got %s", written(n))
	}
	return int(n), nil
}

// first is how many entries are left out.
func first(n float64) (int, error) {
	if n != math.Trunc(n) || n > maxStart {
		return 0, problem.Validation("convertStartQueryParams expected a positive integer got %s", written(n))
	}
	return int(n), nil
}

// counted reports whether the total is wanted.
func counted(n *qs.Node) (bool, error) {
	wanted := n.Get("withCount")
	if wanted == nil {
		return true, nil
	}
	if b, ok := boolean(wanted); ok {
		return b, nil
	}
	return false, problem.Validation(`Invalid withCount parameter. Expected "t","1","true","false","0","f"`)
}

// bare reads start and limit beside filters. Strapi returns all without them: here a page.
func (r *reader) bare(tree *qs.Node) (p Page, err error) {
	p = Page{Limit: r.MaxPageSize}
	if start := given(tree, "start"); start != nil {
		n := number(start)
		if n < 0 {
			return p, problem.Validation("convertStartQueryParams expected a positive integer got %s", written(n))
		}
		if p.Start, err = first(n); err != nil {
			return p, err
		}
	}
	if limit := given(tree, "limit"); limit != nil {
		n := number(limit)
		if n != math.Trunc(n) || n < -1 {
			return p, problem.Validation("convertLimitQueryParams expected a positive integer got %s", written(n))
		}
		if n >= 0 {
			p.Limit = int(math.Min(n, float64(r.MaxPageSize)))
		}
	}
	return p, nil
}

// number is what JavaScript makes of a text; NaN when it is none.
func number(n *qs.Node) float64 {
	if n.Kind != qs.Text {
		return math.NaN()
	}
	text := strings.TrimSpace(n.Text)
	if text == "" {
		return 0
	}
	if f, ok := float(text); ok {
		return f
	}
	return math.NaN()
}

// written is a number as JavaScript writes it.
func written(n float64) string {
	if math.IsInf(n, 1) {
		return "Infinity"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// boolean reads what Strapi takes for true and false.
func boolean(n *qs.Node) (value, ok bool) {
	if n.Kind != qs.Text {
		return false, false
	}
	switch n.Text {
	case "true", "t", "1":
		return true, true
	case "false", "f", "0":
		return false, true
	}
	return false, false
}
