package migrate

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func TestAHostGoesOnBesideNewerTypesThatWantItsRowsAsTheyAre(t *testing.T) {
	title, views := attr("title", schema.String), attr("views", schema.Integer)
	enum := func(values ...string) *schema.Attribute {
		return &schema.Attribute{Name: "x", Kind: schema.Enumeration, Enum: values}
	}
	drafts, unique := article(title), article(&schema.Attribute{Name: "title", Kind: schema.String, Unique: true})
	drafts.Drafts = true
	for name, c := range map[string]struct {
		host, kept *schema.Type
		fits       bool
	}{
		"a new attribute":            {article(title), article(title, views), true},
		"an attribute less":          {article(title, views), article(title), true},
		"a unique one":               {article(title), unique, true},
		"another kind":               {article(title), article(attr("title", schema.Integer)), false},
		"drafts":                     {article(title), drafts, false},
		"no drafts any more":         {drafts, article(title), false},
		"a type less":                {article(title), nil, true},
		"a new type":                 {nil, article(title), true},
		"more values to choose from": {article(enum("a")), article(enum("a", "b")), true},
		"fewer":                      {article(enum("a", "b")), article(enum("a")), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory()
			host := articles(t, c.host)
			migrated(t, s, host)
			before, err := Revision(busy(t), s)
			if err = errors.Join(err, Fits(busy(t), s, host)); err != nil {
				t.Fatal(err)
			}
			migrated(t, s, articles(t, c.kept))
			after, err := Revision(busy(t), s)
			if err != nil || after == before {
				t.Errorf("the revision was %d and is %d: %v", before, after, err)
			}
			err = Fits(busy(t), s, host)
			if _, outdated := errors.AsType[*Outdated](err); outdated == c.fits || (err == nil) != c.fits {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRowsAreLeftAloneUntilOtherHostsHaveNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, to := articles(t, article(attr("x", schema.String))), articles(t, article(attr("x", schema.Integer)))
		s := storetest.NewMemory()
		migrated(t, s, old)
		keep(t, s, old, "a1", 1, store.Document{"x": "7"})
		steps, err := Plan(t.Context(), s, to)
		if err != nil || !steps.Rewrites() {
			t.Fatal(err)
		}
		steps.Settle = 5 * time.Second
		done := make(chan error)
		go func() { done <- steps.Apply(t.Context()) }()
		time.Sleep(4 * time.Second)
		if err := Fits(t.Context(), s, old); err == nil {
			t.Error("hosts with the old types are not told")
		}
		if x := value(t, s, "x"); x != "7" {
			t.Errorf("it is %v already", x)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if x := value(t, s, "x"); x != int64(7) {
			t.Errorf("it is %v", x)
		}
	})
}
