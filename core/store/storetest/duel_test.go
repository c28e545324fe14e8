package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store"
)

func FuzzMemory(f *testing.F) { Fuzz(f, memory()) }

// forgetful is a store with one mistake.
type forgetful struct {
	*Memory
	mistake func(store.Filter) store.Filter
}

func (s forgetful) Find(ctx context.Context, q store.Query) ([]store.Document, error) {
	q.Filter = replaced(q.Filter, s.mistake)
	return s.Memory.Find(ctx, q)
}

// replaced is a condition in which each one within it has been given to f.
func replaced(c store.Filter, f func(store.Filter) store.Filter) store.Filter {
	switch c := c.(type) {
	case store.And:
		all := make(store.And, len(c))
		for i, one := range c {
			all[i] = replaced(one, f)
		}
		return f(all)
	case store.Or:
		all := make(store.Or, len(c))
		for i, one := range c {
			all[i] = replaced(one, f)
		}
		return f(all)
	case store.Not:
		return f(store.Not{Filter: replaced(c.Filter, f)})
	case store.Some:
		c.Filter = replaced(c.Filter, f)
		return f(c)
	case store.Related:
		c.Filter = replaced(c.Filter, f)
		return f(c)
	}
	return f(c)
}

func TestADuelFindsEachOfTheseMistakesAndMakesThemShort(t *testing.T) {
	for name, mistake := range map[string]func(store.Filter) store.Filter{
		"null is not equal to null": func(c store.Filter) store.Filter {
			if c, ok := c.(store.Compare); ok && c.Value == nil {
				return store.Or{}
			}
			return c
		},
		"Not does not hold for null": func(c store.Filter) store.Filter {
			if not, ok := c.(store.Not); ok {
				if inner, ok := not.Filter.(store.Compare); ok {
					return store.And{not, store.Not{Filter: store.Null(inner.Field)}}
				}
			}
			return c
		},
		"Fold is ASCII's": func(c store.Filter) store.Filter {
			if text, ok := c.(store.Text); ok && text.Fold && text.Value >= "\x80" {
				text.Fold = false
				return text
			}
			return c
		},
		"a float is compared where a whole number is": func(c store.Filter) store.Filter {
			if c, ok := c.(store.Compare); ok && c.Value == int64(1<<53+1) {
				c.Value = 0x1p53
				return c
			}
			return c
		},
		"an empty Or always holds": func(c store.Filter) store.Filter {
			if or, ok := c.(store.Or); ok && len(or) == 0 {
				return store.And{}
			}
			return c
		},
		"Related does not know By": func(c store.Filter) store.Filter {
			if related, ok := c.(store.Related); ok {
				related.By = ""
				return related
			}
			return c
		},
	} {
		d, err := newDuel(t.Context(), forgetful{NewMemory(), mistake}, "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		how := ""
		for seed := uint64(0); how == "" && seed < 500; seed++ {
			if how, err = d.disagreement(t.Context(), seeded(seed)); err != nil {
				t.Fatal(err)
			}
		}
		if how == "" || strings.Count(how, "\n") > 12 || len(how) > 1500 {
			t.Errorf("%s is told as %q", name, how)
		}
		t.Logf("%s:\n%s", name, how)
	}
}
