package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

// Same reports whether two values are exactly the same: of one type, 1 and 1.0 are not; of times the zone too.
func Same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Float64bits(a) == math.Float64bits(b)
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b) && a.Location() == b.Location()
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Same)
	case store.Document:
		b, ok := b.(store.Document)
		return ok && maps.EqualFunc(a, b, Same)
	case map[string]any:
		return false
	case []store.Document:
		b, ok := b.([]store.Document)
		return ok && slices.EqualFunc(a, b, func(a, b store.Document) bool { return Same(a, b) })
	case []int:
		b, ok := b.([]int)
		return ok && slices.Equal(a, b)
	}
	return a == b
}

// Describe writes a value, condition, change, write or query so that a person can tell 1 from 1.0, and can write it as Go.
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return describeFloat(v)
	case string:
		return shortened(strconv.QuoteToGraphic(v))
	case time.Time:
		return v.Format("2006-01-02T15:04:05.999999999Z07:00")
	case []byte:
		return shortened(fmt.Sprintf("bytes(%x)", v))
	case []any:
		return "[" + describeAll(v) + "]"
	case map[string]any:
		return "map" + describeFields(v)
	case store.Document:
		return describeFields(v)
	case []store.Document:
		return "\n\t" + strings.ReplaceAll(describeAll(v), "}, {", "},\n\t{")
	case store.Now:
		return "Now(" + time.Duration(v).String() + ")"
	case store.Filter:
		return describeFilter(v)
	case store.Write:
		return describeWrite(v)
	case store.Query:
		return fmt.Sprintf("%s where %s, sort %v, skip %d, limit %d, %d bytes, fields %q", v.Collection, Describe(v.Filter), v.Sort, v.Skip, v.Limit, v.MaxBytes, v.Fields)
	case store.Change:
		return fmt.Sprintf("set %s, unset %q, add %v", Describe(v.Set), v.Unset, v.Add)
	}
	return fmt.Sprintf("%#v", v)
}

func describeAll[T any](values []T) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = Describe(v)
	}
	return strings.Join(all, ", ")
}

// describeFloat always has a dot, or an exponent: a whole number has neither.
func describeFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if strings.ContainsAny(s, ".e") {
		return s
	}
	return s + ".0"
}

func shortened(s string) string {
	if len(s) > 300 {
		return fmt.Sprintf("%s… (%d bytes)", s[:300], len(s))
	}
	return s
}

func describeFields(d map[string]any) string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		fields = append(fields, shortened(strconv.QuoteToGraphic(name))+": "+Describe(d[name]))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

func describeFilter(f store.Filter) string {
	switch f := f.(type) {
	case store.And:
		return "And{" + describeAll(f) + "}"
	case store.Or:
		return "Or{" + describeAll(f) + "}"
	case store.Not:
		return "Not{" + Describe(f.Filter) + "}"
	case store.Compare:
		return fmt.Sprintf("%s %s %s", f.Field, f.Op, Describe(f.Value))
	case store.In:
		return fmt.Sprintf("%s in (%s)", f.Field, shortened(describeAll(f.Values)))
	case store.Text:
		fold := ""
		if f.Fold {
			fold = " in any case"
		}
		return fmt.Sprintf("%s has text, %s%s: %s", f.Field, f.Op, fold, Describe(f.Value))
	case store.Has:
		return fmt.Sprintf("%s has %s", f.Field, Describe(f.Value))
	case store.Some:
		return fmt.Sprintf("some of %s {%s}", f.Field, Describe(f.Filter))
	case store.Related:
		return fmt.Sprintf("%s refers to %s by %q {%s}", f.Field, f.Collection, f.By, Describe(f.Filter))
	}
	return fmt.Sprintf("%#v", f)
}

func describeWrite(w store.Write) string {
	switch w := w.(type) {
	case store.Insert:
		return fmt.Sprintf("insert into %s %s", w.Collection, Describe(w.Document))
	case store.Put:
		return fmt.Sprintf("put into %s %s", w.Collection, Describe(w.Document))
	case store.Update:
		return fmt.Sprintf("update %s where %s: %s, must %d", w.Collection, Describe(w.Filter), Describe(w.Change), w.Must)
	case store.Delete:
		return fmt.Sprintf("delete from %s where %s, must %d", w.Collection, Describe(w.Filter), w.Must)
	}
	return fmt.Sprintf("%#v", w)
}
