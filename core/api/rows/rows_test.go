package rows

import (
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

func TestDocumentIDsAscendAndAreNoneTwice(t *testing.T) {
	var ids []string
	for range 5000 {
		ids = append(ids, NewDocumentID())
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("document ids do not ascend")
	}
	for _, id := range ids {
		if len(id) != 24 || !IsDocumentID(id) || id[0] < 'a' {
			t.Fatalf("%q is no document id", id)
		}
	}
}

func TestTheIDOfAnotherVersionIsNoDocumentID(t *testing.T) {
	for id, want := range map[string]bool{
		"a1": true, strings.Repeat("z", 64): true, "": false, strings.Repeat("z", 65): false, "a.draft": false, "a.fr": false, "A": false, "é": false, "a b": false,
	} {
		if IsDocumentID(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func TestARowHasTheIDOfItsVersion(t *testing.T) {
	for _, c := range []struct {
		drafts, localized, draft bool
		want                     string
	}{
		{want: "a"}, {draft: true, want: "a"}, {drafts: true, want: "a"}, {drafts: true, draft: true, want: "a.draft"},
		{localized: true, want: "a.fr"}, {localized: true, drafts: true, draft: true, want: "a.fr.draft"},
	} {
		if got := RowID(&schema.Type{Drafts: c.drafts, Localized: c.localized}, "a", "fr", c.draft); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestACollectionHasAnIndexForWhatIsFoundQuickly(t *testing.T) {
	one, many := &schema.Type{Name: "one"}, &schema.Type{Name: "many", Drafts: true, Localized: true}
	to := func(r schema.Relation, mappedBy string) *schema.Attribute {
		return &schema.Attribute{Name: "r", Kind: schema.RelationTo, Relation: r, Target: one, MappedBy: mappedBy}
	}
	for _, c := range []struct {
		of   *schema.Type
		a    *schema.Attribute
		want []string
	}{
		{one, &schema.Attribute{Name: "s", Kind: schema.String}, []string{"!_n"}},
		{many, &schema.Attribute{Name: "s", Kind: schema.String}, []string{"!_n", "_status _locale _n", "_doc"}},
		{one, &schema.Attribute{Name: "s", Kind: schema.String, Unique: true}, []string{"!_n", "!s"}},
		{many, &schema.Attribute{Name: "s", Kind: schema.String, Unique: true}, []string{"!_n", "_status _locale _n", "_doc", "!_status _locale s"}},
		{many, &schema.Attribute{Name: "s", Kind: schema.Integer, Indexed: true}, []string{"!_n", "_status _locale _n", "_doc", "_status _locale s _n"}},
		{many, to(schema.ManyToOne, ""), []string{"!_n", "_status _locale _n", "_doc", "r _status _locale _n"}},
		{one, to(schema.ManyToMany, ""), []string{"!_n", "[]r"}},
		{one, to(schema.OneToMany, "x"), []string{"!_n"}},
	} {
		of := *c.of
		of.Attributes = []*schema.Attribute{c.a}
		collection := Collection(&of)
		if err := collection.Check(); err != nil {
			t.Fatal(err)
		}
		if got := names(collection.Indexes); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q", c.a, got)
		}
	}
}

func names(indexes []store.Index) (names []string) {
	for _, index := range indexes {
		name := strings.Join(index.Fields, " ")
		if index.Unique {
			name = "!" + name
		}
		if index.List {
			name = "[]" + name
		}
		names = append(names, name)
	}
	return names
}
