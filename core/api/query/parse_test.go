package query

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/problem"
)

func TestFiltersBecomeConditions(t *testing.T) {
	set := sample(t)
	for raw, want := range map[string]string{
		"filters":                                                     "all",
		"filters[views]=%203 ":                                        "views $eq 3",
		"filters[views][$gt]=3.5":                                     "views $gt 3.5",
		"filters[rating][$lt]=3":                                      "rating $lt 3",
		"filters[views][]=1&filters[views][]=2":                       "views $in 1,2",
		"filters[views][$gt]=1&filters[views][$lt]=5":                 "(views $gt 1 and views $lt 5)",
		"filters[views][$eq][]=1&filters[views][$eq][]=2":             "(views $eq 1 or views $eq 2)",
		"filters[views][$in][]":                                       "views $in ",
		"filters[views][$not][$gt]=6":                                 "not views $gt 6",
		"filters[$not][views]=6":                                      "not views $eq 6",
		"filters[$or][0][views]=1&filters[$or][1][title]=a":           `(views $eq 1 or title $eq "a")`,
		"filters[$or][0][views]=1":                                    "views $eq 1",
		"filters[body]":                                               "body $null true",
		"filters[body][$ne]":                                          "body $notNull true",
		"filters[body][$null]=":                                       "body $null false",
		"filters[body][$null]=banana":                                 "body $null true",
		"filters[published][$gt]=2026-12-01T10:00":                    `published $gt "2026-12-01"`,
		"filters[published][$startsWith]=2026-":                       `published $startsWith "2026-"`,
		"filters[createdAt][$gt]=1767225600000":                       "createdAt $gt 2026-01-01 00:00:00 +0000 UTC",
		"filters[createdAt][$gt]=2026-01-01T02:00:00.1234%2B02:00":    "createdAt $gt 2026-01-01 00:00:00.123 +0000 UTC",
		"filters[createdAt][$gt]=2026":                                "createdAt $gt 2026-01-01 00:00:00 +0000 UTC",
		"filters[tags]=1":                                             "tags.id $eq 1",
		"filters[tags]=abc":                                           `tags.documentId $eq "abc"`,
		"filters[tags][]=abc&filters[tags][]=b":                       `tags.documentId $in "abc","b"`,
		"filters[tags][$in][]=4&filters[tags][$in][]=5":               "tags.id $in 4,5",
		"filters[author][$null]=true":                                 "author.id $null true",
		"filters[author][username]=a&filters[author][id][$gt]=1":      `(author.username $eq "a" and author.id $gt 1)`,
		"filters[tags][name]=a&filters[tags][id]=1":                   `tags.{(name $eq "a" and id $eq 1)}`,
		"filters[tags][$or][0][name]=a&filters[tags][$or][1][name]=b": `(tags.name $eq "a" or tags.name $eq "b")`,
		"filters[tags][$not][name]=a":                                 `tags.{not name $eq "a"}`,
		"filters[tags][articles][author][username][$contains]=a":      `tags.articles.author.username $contains "a"`,
		"filters[__proto__][x]=1":                                     "all",
	} {
		q, err := Parse(raw, set.Type("article"), options(set, "article tag user"))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		} else if got := said(q.Filter); got != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
	for raw, want := range map[string]string{
		"filters[open]=0":                              "open $eq false",
		"filters[open]=t":                              "open $eq true",
		"filters[at]=18:30:00.5":                       `at $eq "18:30:00.500"`,
		"filters[big]=9007199254740993":                "big $eq 9007199254740993",
		"filters[link][label]=a":                       `link.label $eq "a"`,
		"filters[links][label]=a&filters[links][id]=1": `links.{(label $eq "a" and id $eq 1)}`,
		"filters[link][to][title]=a":                   `link.to.title $eq "a"`,
		"filters[cover][mime][$startsWith]=image/":     `cover.mime $startsWith "image/"`,
		"filters[locale]=fr":                           `locale $eq "fr"`,
		"filters[extra][$null]=true":                   "extra $null true",
	} {
		q, err := Parse(raw, set.Type("page"), options(set, "article"))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		} else if got := said(q.Filter); got != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
}

// What is wrong is said with the words of Strapi where it has some, and with the path.
func TestWhatCantBeMeantIsSaid(t *testing.T) {
	set := sample(t)
	many := func(n int, form string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(form, i)
		}
		return strings.Join(parts, "&")
	}
	for _, c := range []struct{ raw, message, path string }{
		{"filters[views]=", `Invalid value "" at views. Expected a number`, "views"},
		{"filters[rating]=1e999", `Invalid value "1e999" at rating. Expected a number`, "rating"},
		{"filters[views][$between][]=1", "The operator $between of views needs two values", "views"},
		{"filters[views][$contains]=1", "The operator $contains can't be used with views, which is integer", "views"},
		{"filters[$eq]=1", "Only $and, $or and $not can be used as root level operators. Found $eq", "$eq"},
		{"filters[$or]=1", "The operator $or needs a list of filters", "$or"},
		{"filters[$or][a]=1", "The operator $or needs a list of filters", "$or"},
		{"filters[views][$or][0]=1", "The operator $or stands before the name of an attribute, and not after it", "views.$or"},
		{"filters[views][$gt][a]=1", "The operator $gt of views needs a value", "views"},
		{"filters[published]=soon", "Invalid format, expected yyyy-MM-dd", ""},
		{"filters[published]=2026-02-30", "Invalid date", ""},
		{"filters[tags][foo]=1", "Invalid key foo at tags", "tags"},
		{"filters[author][role][name]=1", "Invalid key role at author.role", "author.role"},
		{"filters[locale]=en", "Invalid key locale", ""},
		{"filters[title]=" + strings.Repeat("a", 4097), "The value at title has more than 4096 bytes", "title"},
		{many(101, "filters[$or][%d][views]=1"), "There are more than 100 conditions in the filters", ""},
		{many(501, "filters[views][$in][%d]=1"), "The operator $in of views has more than 500 values", "views"},
		{"filters" + strings.Repeat("[$not]", 11) + "[views]=1", "Filters nest more than 10 levels", ""},
		{"filters[tags][articles][tags][articles][tags][name]=1", "At most 4 relations lead to a value", ""},
		{"sort=foo", "Invalid key foo", ""},
		{"sort=tags", "Invalid key tags", "tags"},
		{"sort=tags.foo", "Invalid key foo at tags", "tags"},
		{"sort=title:desc:x,views:", "Invalid order. order can only be one of asc|desc|ASC|DESC", ""},
		{"sort[0][0]=a", "Invalid sort parameter. Expected a string, an array of strings, a sort object or an array of sort objects", ""},
		{"sort=id,title,body,views,rating,published,createdAt,updatedAt", "The sort parameter names more than 7 fields", ""},
		{"sort=tags.articles.tags.articles.tags.name", "At most 4 relations lead to a value", ""},
		{"fields=", "Invalid fields parameter. Expected the name of a field, or *", "fields"},
		{"fields[]", "Invalid fields parameter. Expected a string or an array of strings", ""},
		{"fields[a]=title", "Invalid fields parameter. Expected a string or an array of strings", ""},
		{"populate=tags.foo", "Invalid key foo at tags.foo", "tags.foo"},
		{"populate[title]=true", "Invalid key title", "title"},
		{"populate[tags][populate][name]=true", "Invalid key name at tags.populate.name", "tags.populate.name"},
		{"populate[tags][limit]=1", "Invalid key limit at tags", "tags"},
		{"populate[tags][name]=1", "Invalid key name at tags.name", "tags.name"},
		{"populate[tags][count]=x", "Invalid key count at tags", "tags"},
		{"populate[tags][on][a]=x", `Using fragments is not permitted to populate "tags" in "api::article.article"`, ""},
		{"populate[tags][]=x", "Invalid nested populate. Expected '*' or an object", ""},
		{"populate[tags][filters][foo]=x", "Invalid key foo", ""},
		{"populate[author][filters][role][name]=x", "Invalid key role", "role"},
		{"populate[][a]=x", "Invalid populate parameter. Expected a string, an array of strings, a populate object", ""},
		{"populate=tags.articles.tags.articles.tags.articles", "The populate parameter goes deeper than 5 levels", ""},
		{"populate[tags]" + strings.Repeat("[populate][articles][populate][tags]", 3) + "=*", "The populate parameter goes deeper than 5 levels", ""},
		{"pagination[page]=abc", "convertStartQueryParams expected a positive integer got NaN", ""},
		{"pagination[start]=1.5", "convertStartQueryParams expected a positive integer got 1.5", ""},
		{"pagination[pageSize]=2.5", "convertLimitQueryParams expected a positive integer got 2.5", ""},
		{"pagination[page]=1e300", "convertStartQueryParams expected a positive integer got 25", ""},
		{"pagination[withCount]=maybe", `Invalid withCount parameter. Expected "t","1","true","false","0","f"`, ""},
		{"status=modified", "Invalid status. Expected draft or published", "status"},
		{"status[]=draft", "Invalid status. Expected draft or published", "status"},
		{"status=draft", "Forbidden", ""},
		{strings.Repeat("&", 1000), "The query string has 1001 parameters, and at most 1000 are taken", ""},
	} {
		_, err := Parse(c.raw, set.Type("article"), options(set, "article tag user"))
		var p *problem.Error
		if !errors.As(err, &p) || !strings.HasPrefix(p.Message, c.message) {
			t.Errorf("%.80s\n got %v\nwant %s", c.raw, err, c.message)
			continue
		}
		key, _ := p.Details.(problem.Key)
		if got, _ := key.Path.(string); got != c.path || p.Status != 400 && c.message != "Forbidden" {
			t.Errorf("%.80s: status %d, path %q, want %q", c.raw, p.Status, got, c.path)
		}
	}
}

// A password, and what is private, can't be found out by asking; nor can what the caller may not read.
func TestWhatIsHiddenCantBeAskedFor(t *testing.T) {
	set := sample(t)
	for _, raw := range []string{
		"filters[code][$startsWith]=a", "filters[secret]=a", "filters[hidden][name]=a", "filters[hidden]=1", "filters[owner][username]=a", "filters[owner]=1",
		"filters[$or][0][owner][$null]=true", "filters[$not][secret]=a", "filters[link][to][author][username]=a", "filters[zone][label]=a",
		"sort=code", "sort=secret", "sort=hidden.name", "sort=owner.username", "sort[owner][username]=asc", "sort=zone.label",
		"fields=code", "fields=secret", "fields=owner",
		"populate=hidden", "populate[hidden]=true", "populate[hidden][fields]=name", "populate[link][filters][to][author][username]=a",
		"populate[link][populate][to][sort]=author.username", "populate[zone][on][shared.link][filters][to][author][id]=1",
	} {
		_, err := Parse(raw, set.Type("page"), options(set, "page article tag"))
		var p *problem.Error
		if !errors.As(err, &p) || p.Status != 400 || !strings.HasPrefix(p.Message, "Invalid key") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestOrderIsReadInAllItsForms(t *testing.T) {
	set := sample(t)
	for raw, want := range map[string]string{
		"sort=title":                  "title",
		"sort= title : DESC , views,": "-title views",
		"sort[]":                      "",
		"sort[0]=title:desc&sort[1]=views,rating:desc": "-title views -rating",
		"sort[title]=desc&sort[author][username]=asc":  "-title author.username",
		"sort[0][title]=asc&sort[1][id]=desc":          "title -id",
		"sort=author.username:desc,title,title:desc":   "-author.username title",
		"sort[title]=": "",
	} {
		q, err := Parse(raw, set.Type("article"), options(set, "article tag user"))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		var got []string
		for _, o := range q.Sort {
			got = append(got, strings.Repeat("-", map[bool]int{true: 1}[o.Descending])+path(o.Path))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s\n got %v\nwant %s", raw, got, want)
		}
	}
}

func TestWhatIsToBeFilledInIsReadInAllItsForms(t *testing.T) {
	set := sample(t)
	for raw, want := range map[string]string{
		"populate=*":                                   "cover link links zone",
		"populate=cover,link.to,link.icon":             "cover link{to icon}",
		"populate[0]=link.to&populate[1]=link.to.tags": "link{to{tags}}",
		"populate[link][populate]=*":                   "link{icon to}",
		"populate[link]=*":                             "link",
		"populate[cover]=false&populate[link]=1":       "link",
		"populate[cover][fields]=url":                  "cover[url]",
		"populate[link][populate][to][count]=true":     "link{to#}",
		"populate[link][populate][to][filters][title]=a&populate[link][populate][to][sort]=title": `link{to?title $eq "a"^title}`,
		"populate=owner,cover":                          "cover",
		"populate[owner]=true&populate[owner2]=1":       "!",
		"populate[owner][fields]=username":              "",
		"populate[link][populate][to][populate]=author": "link{to}",
		"populate[zone][on][shared.link][fields]=label": "zone<shared.link:label>",
		"populate[zone][populate]=*":                    "zone<shared.link:icon to>",
		"populate=zone.to":                              "zone<shared.link:to>",
		"populate[zone][populate]=to":                   "!",
		"populate[zone][fields]=label":                  "!",
		"populate[zone][on]=*":                          "!",
		"populate[zone][on][no.such]=true":              "!",
		"populate=":                                     "",
		"populate":                                      "",
	} {
		q, err := Parse(raw, set.Type("page"), options(set, "page article tag"))
		switch {
		case err != nil && want != "!":
			t.Errorf("%s: %v", raw, err)
		case err == nil && (want == "!" || filled(q.Populate) != want):
			t.Errorf("%s\n got %s\nwant %s", raw, filled(q.Populate), want)
		}
	}
}

func TestAtMostFiftyAttributesAreFilledIn(t *testing.T) {
	set := sample(t)
	deep := "populate[tags][populate][articles][populate][tags][populate][articles][populate]=tags"
	if _, err := Parse(deep, set.Type("article"), options(set, "article tag")); err != nil {
		t.Errorf("five levels: %v", err)
	}
	r := &reader{populates: maxPopulates - 1}
	if err := r.count(); err != nil {
		t.Error(err)
	}
	if err := r.count(); err == nil {
		t.Error("the 51st is taken")
	}
}

func TestLocaleIsOneThatThereIs(t *testing.T) {
	set := sample(t)
	for raw, want := range map[string]string{"locale=fr": "fr", "locale=*": "*", "locale=": "", "locale=de": "!", "locale[]=fr": "!"} {
		q, err := Parse(raw, set.Type("page"), options(set, ""))
		if (err != nil) != (want == "!") || err == nil && q.Locale != want {
			t.Errorf("%s: %v, %v", raw, q, err)
		}
	}
	if q, err := Parse("locale=de", set.Type("article"), options(set, "")); err != nil || q.Locale != "" {
		t.Errorf("a type that is not localized has locale %v, %v", q, err)
	}
}

func TestUsersAndFilesHaveTheirOwnPages(t *testing.T) {
	set := sample(t)
	for raw, want := range map[string]Page{
		"":                       {Limit: 100},
		"start=1&limit=1":        {Start: 1, Limit: 1},
		"limit=-1":               {Limit: 100},
		"limit=1000":             {Limit: 100},
		"pagination[pageSize]=3": {Limit: 100},
	} {
		o := options(set, "user")
		o.Bare = true
		q, err := Parse(raw, set.Type("user"), o)
		if err != nil || q.Page != want {
			t.Errorf("%s: %+v, %v", raw, q, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, raw := range []string{
		"filters[$or][0][link][to][title][$in][]=a&sort=title:desc&fields=title&populate[zone][on][shared.link][populate]=*&pagination[page]=2",
		"populate=link.to.tags,cover&locale=fr&status=draft", "filters[since][$between][0]=2026&filters[since][$between][1]=1e5", "sort[link][to][title]=desc",
	} {
		f.Add(raw)
	}
	set := sample(f)
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := Parse(raw, set.Type("page"), options(set, "page article drafts"))
		var p *problem.Error
		switch {
		case err != nil && (!errors.As(err, &p) || p.Status < 400 || p.Status >= 500):
			t.Fatalf("%q: %v", raw, err)
		case err == nil && (q.Page.Start < 0 || q.Page.Limit < 1 || q.Page.Limit > 100):
			t.Fatalf("%q: %+v", raw, q.Page)
		case err == nil:
			if text := said(q.Filter) + filled(q.Populate); strings.Contains(text, "owner") || strings.Contains(text, "secret") || strings.Contains(text, "hidden") {
				t.Fatalf("%q asks for %s", raw, text)
			}
		}
	})
}

func TestAPlainRequestCostsNothing(t *testing.T) {
	set := sample(t)
	article, o := set.Type("article"), options(set, "article")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse("", article, o); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	set := sample(b)
	article, o := set.Type("article"), options(set, "article tag user")
	for name, raw := range map[string]string{
		"none":   "",
		"page":   "pagination[page]=2&pagination[pageSize]=10",
		"filter": "filters[views][$gt]=3&filters[title][$startsWith]=Alpha&sort=title:desc&fields[0]=title",
		"client": "filters%5B%24or%5D%5B0%5D%5Btitle%5D%5B%24containsi%5D=x&filters%5Btags%5D%5Bname%5D%5B%24in%5D%5B0%5D=a&sort%5B0%5D=title%3Aasc&populate%5Btags%5D%5Bfields%5D%5B0%5D=name",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(raw, article, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
