package migrate

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func wantSummary(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("summary:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheFirstTypesAreKeptAndTheirCollectionsMade(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		to := articles(t, article(attr("title", schema.String)))
		wantSummary(t, migrated(t, s, to), "article is new", "tag is new")
		keep(t, s, to, "a1", 1, store.Document{"title": "One"})
		wantSummary(t, migrated(t, s, to))
		if got := value(t, s, "title"); got != "One" {
			t.Error(got)
		}
	})
}

func TestWhatIsRemovedIsHiddenAndComesBack(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		with, without := articles(t, article(attr("title", schema.String), attr("views", schema.Integer))), articles(t, article(attr("title", schema.String)))
		migrated(t, s, with)
		keep(t, s, with, "a1", 1, store.Document{"views": int64(7)})
		wantSummary(t, migrated(t, s, without), "article.views is removed: its values stay, unseen, until there is an attribute of this name again")
		wantSummary(t, migrated(t, s, articles(t, nil)), "article is removed: its entries stay in the store, unseen, until there is a type of this name again")
		wantSummary(t, migrated(t, s, with), "article is back, with the entries that it had")
		if got := value(t, s, "views"); got != int64(7) {
			t.Error(got)
		}
		migrated(t, s, without)
		migrated(t, s, articles(t, article(attr("title", schema.String), attr("views", schema.Text))))
		if got := value(t, s, "views"); got != "7" {
			t.Errorf("what comes back with another kind is %v", got)
		}
	})
}

func TestValuesBecomeThoseOfAnotherKind(t *testing.T) {
	at := time.Date(2026, 5, 1, 18, 30, 0, 0, time.UTC)
	enum := func(values ...string) *schema.Attribute {
		return &schema.Attribute{Name: "x", Kind: schema.Enumeration, Enum: values}
	}
	as := func(k schema.Kind) *schema.Attribute { return attr("x", k) }
	for name, c := range map[string]struct {
		was, to *schema.Attribute
		v, want any // want nil: refused
	}{
		"integer to biginteger":     {as(schema.Integer), as(schema.BigInteger), int64(7), int64(7)},
		"integer to decimal":        {as(schema.Integer), as(schema.Decimal), int64(7), 7.0},
		"too great an integer":      {as(schema.BigInteger), as(schema.Float), int64(1<<53 + 1), nil},
		"integer to string":         {as(schema.Integer), as(schema.String), int64(-7), "-7"},
		"whole float to integer":    {as(schema.Float), as(schema.Integer), 7.0, int64(7)},
		"float to integer":          {as(schema.Float), as(schema.Integer), 7.5, nil},
		"string to integer":         {as(schema.String), as(schema.Integer), "7", int64(7)},
		"padded string to integer":  {as(schema.String), as(schema.Integer), "007", nil},
		"string to float":           {as(schema.String), as(schema.Float), "7.5", 7.5},
		"string to text":            {as(schema.String), as(schema.Text), "long", "long"},
		"text to string":            {as(schema.Text), as(schema.String), "short", "short"},
		"long text to string":       {as(schema.Text), as(schema.String), strings.Repeat("x", 256), nil},
		"string to email":           {as(schema.String), as(schema.Email), "a@b.test", "a@b.test"},
		"no email":                  {as(schema.String), as(schema.Email), "nobody", nil},
		"string to uid":             {as(schema.String), as(schema.UID), "a-b_c", "a-b_c"},
		"no uid":                    {as(schema.String), as(schema.UID), "a b", nil},
		"string to enumeration":     {as(schema.String), enum("red", "green"), "red", "red"},
		"none of the enumeration":   {as(schema.String), enum("red", "green"), "blue", nil},
		"enumeration grows":         {enum("red"), enum("red", "green"), "red", "red"},
		"enumeration value removed": {enum("red", "green"), enum("green"), "red", nil},
		"unused value removed":      {enum("red", "green"), enum("green"), "green", "green"},
		"enumeration to text":       {enum("red"), as(schema.Text), "red", "red"},
		"datetime to date":          {as(schema.DateTime), as(schema.Date), at, nil},
		"midnight to date":          {as(schema.DateTime), as(schema.Date), at.Truncate(24 * time.Hour), "2026-05-01"},
		"date to datetime":          {as(schema.Date), as(schema.DateTime), "2026-05-01", at.Truncate(24 * time.Hour)},
		"datetime to string":        {as(schema.DateTime), as(schema.String), at, "2026-05-01T18:30:00.000Z"},
		"string to datetime":        {as(schema.String), as(schema.DateTime), "2026-05-01T18:30:00.000Z", at},
		"boolean to string":         {as(schema.Boolean), as(schema.String), true, "true"},
		"boolean to integer":        {as(schema.Boolean), as(schema.Integer), true, nil},
		"string to boolean":         {as(schema.String), as(schema.Boolean), "false", false},
		"anything to json":          {as(schema.DateTime), as(schema.JSON), at, "2026-05-01T18:30:00.000Z"},
		"json to string":            {as(schema.JSON), as(schema.String), store.Document{"a": int64(1)}, nil},
		"text to password":          {as(schema.String), as(schema.Password), "secret", nil},
		"password to text":          {as(schema.Password), as(schema.String), "$argon2id$x", nil},
		"string to relation":        {as(schema.String), &schema.Attribute{Name: "x", Kind: schema.RelationTo, Relation: schema.ManyToOne, Target: tag}, "tag1", nil},
		"time to string":            {as(schema.Time), as(schema.String), "18:30:00.000", "18:30:00.000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory()
			was, to := articles(t, article(c.was)), articles(t, article(c.to))
			migrated(t, s, was)
			keep(t, s, was, "a1", 1, store.Document{"x": c.v})
			keep(t, s, was, "a2", 2, nil)
			if c.want == nil {
				refused(t, s, to, "article.x: of 1 entry", "(a1)")
				return
			}
			migrated(t, s, to)
			if got := all(t, s, "content-article")[0]["x"]; !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v becomes %v, want %v", c.v, got, c.want)
			}
		})
	}
}

func TestARefusalShowsAValueWithTheEntryThatHasIt(t *testing.T) {
	s := storetest.NewMemory()
	was := articles(t, article(attr("x", schema.String)))
	migrated(t, s, was)
	keep(t, s, was, "a1", 1, store.Document{"x": "7"})
	keep(t, s, was, "a2", 2, store.Document{"x": "seven"})
	keep(t, s, was, "a3", 3, store.Document{"x": "eight"})
	refused(t, s, articles(t, article(attr("x", schema.Integer))), `article.x: of 2 entries it can't become integer without loss, such as "seven" (a2)`)
}

func TestAKindChangesOnEveryEngineWithItsIndexes(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s store.Store) {
		relation := func(r schema.Relation) *schema.Attribute {
			return &schema.Attribute{Name: "tags", Kind: schema.RelationTo, Relation: r, Target: tag}
		}
		indexed := func(k schema.Kind) *schema.Attribute { return &schema.Attribute{Name: "x", Kind: k, Indexed: true} }
		was := articles(t, article(indexed(schema.Integer), relation(schema.ManyToOne)))
		migrated(t, s, was)
		keepMany(t, s, was, func(i int) store.Document { return store.Document{"x": int64(i), "tags": "t1"} })
		to := articles(t, article(indexed(schema.String), relation(schema.ManyToMany)))
		wantSummary(t, migrated(t, s, to), "article.x was integer and is string", "article.tags has a list now: of the one that there was")
		for _, row := range all(t, s, "content-article") {
			if x, _ := row["x"].(string); x == "" || !reflect.DeepEqual(row["tags"], []any{"t1"}) || row.Int(rows.Revision) != 2 {
				t.Fatal(row)
			}
		}
		migrated(t, s, was)
		for _, row := range all(t, s, "content-article") {
			if _, ok := row["x"].(int64); !ok || row["tags"] != "t1" {
				t.Fatal(row)
			}
		}
		keep(t, s, was, "b1", 1000, store.Document{"x": int64(1), "tags": "t2"})
	})
}
