package query

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

type m = map[string]any

func TestFiltersOfTheConfiguration(t *testing.T) {
	set := sample(t)
	for _, c := range []struct {
		of   string
		tree any
		want string
	}{
		{"article", nil, "all"},
		{"article", m{}, "all"},
		{"article", m{"author": "$user.id"}, "author.documentId $eq $user.documentId"},
		{"article", m{"author": m{"$eq": "$user.id"}}, "author.documentId $eq $user.documentId"},
		{"article", m{"author": m{"id": m{"$eq": "$user.id"}}}, "author.documentId $eq $user.documentId"},
		{"article", m{"author": "$user.documentId"}, "author.documentId $eq $user.documentId"},
		{"article", m{"author": m{"documentId": m{"$eq": "$user.documentId"}}}, "author.documentId $eq $user.documentId"},
		{"user", m{"id": m{"$eq": "$user.id"}}, "documentId $eq $user.documentId"},
		{"article", m{"tags": "$user.team"}, "tags.documentId $eq $user.team"},
		{"article", m{"tags": m{"$in": "$user.teams"}}, "tags.documentId $in $user.teams"},
		{"article", m{"title": "$user.email"}, "title $eq $user.email"},
		{"article", m{"views": m{"$lte": "$user.level"}}, "views $lte $user.level"},
		{"article", m{"views": int64(3), "body": nil}, "(body $null true and views $eq 3)"},
		{"article", m{"$or": []any{m{"views": 3}, m{"author": "$user.id"}}}, "(views $eq 3 or author.documentId $eq $user.documentId)"},
		{"page", m{"secret": "x", "open": true, "kind": "rich"}, `(kind $eq "rich" and open $eq true and secret $eq "x")`},
		{"page", m{"since": m{"$lt": "$now"}}, "since $lt $now"},
	} {
		e, err := Filter(c.tree, set.Type(c.of), set)
		if err != nil || said(e) != c.want {
			t.Errorf("%v\n got %s, %v\nwant %s", c.tree, said(e), err, c.want)
		}
	}
}

func TestWhatIsWrongInTheConfigurationHasItsPlace(t *testing.T) {
	set := sample(t)
	for _, c := range []struct {
		tree any
		path string
		want string
	}{
		{"x", "[]", "a filter is written as {ATTRIBUTE: {$eq: VALUE}}"},
		{m{"athor": 1}, "[athor]", `article has no attribute "athor"; did you mean author?`},
		{m{"author": m{"nam": 1}}, "[author nam]", `user has no attribute "nam"`},
		{m{"views": m{"$qe": 1}}, "[views $qe]", `there is no operator "$qe"; did you mean $eq?`},
		{m{"$or": []any{m{"views": 1}, m{"views": "x"}}}, "[$or 1 views]", "views is integer, and the value is none"},
		{m{"views": m{"$in": []any{1, "x"}}}, "[views $in 1]", "views is integer, and the value is none"},
		{m{"author": "$user.foo"}, "[author]", "a user has no foo"},
		{m{"tags": "$user.id"}, "[tags]", "$user.id is a user, and tags is not"},
		{m{"author": "$user.team"}, "[author]", "$user.team is of type tag, and author is not"},
		{m{"tags": "$user.teams"}, "[tags]", "a user has many teams: write {$in: $user.teams}"},
		{m{"views": "$user.email"}, "[views]", "$user.email is email, and views is integer"},
		{m{"title": "$user"}, "[title]", "$user is no value: there are $user.id, $user.documentId, $user.ATTRIBUTE and $now"},
		{m{"title": m{"$ne": "$usr.name"}}, "[title $ne]", "$usr.name is no value: there are $user.id, $user.documentId, $user.ATTRIBUTE and $now"},
		{m{"title": "$now"}, "[title]", "$now is a time, and title is not"},
	} {
		_, err := Filter(c.tree, set.Type("article"), set)
		var f *FilterError
		if !errors.As(err, &f) || f.Message != c.want || fmt.Sprint(f.Path) != c.path {
			t.Errorf("%v\n got %+v\nwant %s %s", c.tree, err, c.path, c.want)
		}
	}
}

func TestWithoutAUserNeitherATestNorItsOppositeHolds(t *testing.T) {
	set := sample(t)
	nobody := func(User) (any, bool) { return nil, false }
	alice := func(u User) (any, bool) {
		return m{"documentId": "doc", "teams": []any{"a", "b"}, "level": int64(3)}[string(u)], u != "team"
	}
	for _, c := range []struct {
		tree          any
		nobody, alice string
		holds         bool // for nobody, of an entry of which all other tests hold
	}{
		{m{"author": "$user.id"}, "()", `author.documentId $eq "doc"`, false},
		{m{"$not": m{"author": "$user.id"}}, "not ()", `not author.documentId $eq "doc"`, false},
		{m{"$not": m{"$not": m{"author": "$user.id"}}}, "not not ()", `not not author.documentId $eq "doc"`, false},
		{m{"$or": []any{m{"views": 1}, m{"author": "$user.id"}}}, "(views $eq 1 or ())", `(views $eq 1 or author.documentId $eq "doc")`, true},
		{m{"$not": m{"$or": []any{m{"views": 1}, m{"author": "$user.id"}}}}, "not (views $eq 1 or ())", `not (views $eq 1 or author.documentId $eq "doc")`, false},
		{m{"$not": m{"tags": m{"id": 1, "name": "$user.email"}}}, "not ()", "not ()", false},
		{m{"tags": m{"$not": m{"$in": "$user.teams"}}}, "tags.{not ()}", `tags.{not documentId $in "a","b"}`, false},
		{m{"tags": "$user.team"}, "()", "()", false},
		{m{"views": m{"$gt": "$user.level"}}, "()", "views $gt 3", false},
	} {
		e, err := Filter(c.tree, set.Type("article"), set)
		if err != nil {
			t.Fatal(err)
		}
		if !Open(e) {
			t.Errorf("%v has nothing to bind", c.tree)
		}
		none := Bind(e, nobody)
		if said(none) != c.nobody || holds(none) != c.holds || Open(none) {
			t.Errorf("%v: for nobody %s, which holds: %v", c.tree, said(none), holds(none))
		}
		if got := said(Bind(e, alice)); got != c.alice {
			t.Errorf("%v: for alice %s", c.tree, got)
		}
	}
}

// holds judges a condition, all of whose tests hold.
func holds(e Expr) bool {
	switch e := e.(type) {
	case And:
		for _, one := range e {
			if !holds(one) {
				return false
			}
		}
	case Or:
		for _, one := range e {
			if holds(one) {
				return true
			}
		}
		return false
	case Not:
		return !holds(e.Expr)
	case Some:
		return holds(e.Expr)
	}
	return true
}

func TestNowIsTheTimeAtWhichSomebodyAsks(t *testing.T) {
	set := sample(t)
	synctest.Test(t, func(t *testing.T) {
		for tree, want := range map[string]string{"since": "since $lt 2000-01-01 00:00:00 +0000 UTC", "createdAt": "createdAt $lt 2000-01-01 00:00:00 +0000 UTC"} {
			e, err := Filter(m{tree: m{"$lt": "$now"}}, set.Type("page"), set)
			if err != nil || said(Bind(e, nil)) != want {
				t.Errorf("%s, %v", said(Bind(e, nil)), err)
			}
		}
		e, err := Filter(m{"published": m{"$lte": "$now"}}, set.Type("article"), set)
		if err != nil || said(Bind(e, nil)) != `published $lte "2000-01-01"` {
			t.Errorf("%s, %v", said(Bind(e, nil)), err)
		}
	})
}
