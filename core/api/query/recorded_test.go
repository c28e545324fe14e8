package query

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/problem"
)

// An answer is what a real Strapi 5.54.0 answered to one request.
type answer struct {
	Name, Path, As string
	Status         int
	Error          *wrong
	Keys           []string
	Page           map[string]int
}

type wrong struct {
	Status  int
	Name    string
	Message string
	Details any
}

func recorded(t *testing.T) (all []answer) {
	t.Helper()
	f, err := os.Open("testdata/recorded.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	if len(all) < 100 {
		t.Fatalf("only %d answers", len(all))
	}
	return all
}

func TestWhatStrapiAnsweredIsAnswered(t *testing.T) {
	set := sample(t)
	for _, a := range recorded(t) {
		t.Run(a.Name, func(t *testing.T) {
			may := caller("article tag drafts")
			if a.As != "" {
				may += " user"
			}
			path, raw, _ := strings.Cut(a.Path, "?")
			name, id, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(path), "/api/"), "/")
			o := options(set, may)
			o.One = id != ""
			q, err := Parse(raw, set.Type(strings.TrimSuffix(name, "s")), o)
			var p *problem.Error
			if err != nil && !errors.As(err, &p) {
				t.Fatalf("no problem, but %v", err)
			}
			switch {
			case a.Status == 500:
				// Where Strapi is wrong: 400, with the path.
				var key problem.Key
				if p != nil {
					key, _ = p.Details.(problem.Key)
				}
				if p == nil || p.Status != 400 || key.Path == nil || key.Path == "" {
					t.Fatalf("%v", err)
				}
			case a.Error != nil && a.Status == 400:
				if p == nil {
					t.Fatalf("it is taken, and Strapi said %s", a.Error.Message)
				}
				b, _ := json.Marshal(p.Details)
				var details any
				_ = json.Unmarshal(b, &details)
				got := wrong{p.Status, p.Name, p.Message, details}
				if !reflect.DeepEqual(got, *a.Error) {
					t.Fatalf("\n got %+v\nwant %+v", got, *a.Error)
				}
			case err != nil:
				t.Fatalf("%v", err)
			default:
				asRecorded(t, q, a)
			}
		})
	}
}

// asRecorded compares what is asked for with what was answered.
func asRecorded(t *testing.T, q *Query, a answer) {
	t.Helper()
	if limit, ok := a.Page["limit"]; ok && (q.Page.Size || q.Page.Start != a.Page["start"] || q.Page.Limit != limit) {
		t.Errorf("page %+v, and Strapi had %v", q.Page, a.Page)
	}
	if size, ok := a.Page["pageSize"]; ok && (!q.Page.Size || q.Page.Start/q.Page.Limit+1 != a.Page["page"] || q.Page.Limit != size) {
		t.Errorf("page %+v, and Strapi had %v", q.Page, a.Page)
	}
	if _, total := a.Page["total"]; a.Page != nil && total != q.Page.Count {
		t.Errorf("counted: %v, and Strapi had %v", q.Page.Count, a.Page)
	}
	if len(a.Keys) == 0 || slices.Contains(a.Keys, "attributes") {
		return
	}
	want := append([]string{"id", "documentId"}, q.Fields...)
	if q.Fields == nil {
		want = a.Keys
	}
	for _, p := range q.Populate {
		want = append(want, p.Attribute.Name)
	}
	slices.Sort(want)
	slices.Sort(a.Keys)
	if !slices.Equal(slices.Compact(want), a.Keys) {
		t.Errorf("keys %v, and Strapi had %v", want, a.Keys)
	}
}
