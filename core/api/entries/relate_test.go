package entries

import (
	"reflect"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/query"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
)

// refs are the references of a row, as the names that they have in ids.
func (d *desk) refs(t *testing.T, of *schema.Type, id, attribute string, ids map[string]string) string {
	t.Helper()
	var all []string
	for _, to := range references(d.row(t, of, id)[attribute]) {
		all = append(all, ids[to])
	}
	return strings.Join(all, " ")
}

func (d *desk) tags(t *testing.T, names ...string) (byName, byID map[string]string) {
	t.Helper()
	byName, byID = map[string]string{}, map[string]string{}
	for _, name := range names {
		id := d.create(t, d.tag, anything, `{"name": %q}`, name)
		byName[name], byID[id] = id, name
	}
	return byName, byID
}

func TestRelationsAreConnectedDisconnectedAndSet(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		tag, names := d.tags(t, "go", "node", "css", "sql")
		id := d.create(t, d.article, anything, `{"title": "one", "tags": [1, %q]}`, tag["css"])
		for _, step := range []struct{ tags, want string }{
			{`{}`, "go css"},
			{`{"connect": ["` + tag["sql"] + `"]}`, "go css sql"},
			{`{"connect": [{"id": 2, "position": {"before": {"documentId": "` + tag["css"] + `"}}}]}`, "go node css sql"},
			{`{"connect": [{"documentId": "` + tag["go"] + `", "position": {"after": 3}}]}`, "node css go sql"},
			{`{"connect": [{"id": 4, "position": {"start": true}}, {"id": 2, "position": {"end": true}}]}`, "sql css go node"},
			{`{"disconnect": [1, "` + tag["css"] + `", 99999]}`, "sql node"},
			{`{"set": ["` + tag["go"] + `"], "connect": [3]}`, "go css"},
			{`["` + tag["node"] + `", 4, 4]`, "node sql"},
			{`null`, ""},
		} {
			text := `{"tags": ` + step.tags + `}`
			if step.tags == `{}` {
				text = `{}`
			}
			d.update(t, d.article, id, anything, "%s", text)
			for _, row := range []string{id, id + ".draft"} {
				if got := d.refs(t, d.article, row, "tags", names); got != step.want {
					t.Errorf("%s: %s, want %s", step.tags, got, step.want)
				}
			}
		}
	})
}

func TestARelationToWhatIsNotThereIsRefusedAsStrapiDoes(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		const unknown = "zzzzzzzzzzzzzzzzzzzzzzzz"
		for _, id := range []string{unknown, "no.draft", "what ever"} {
			_, err := d.Create(patient(t), d.article, sent(t, `{"title": "x", "tags": [%q]}`, id), anything)
			wantProblem(t, err, 400, `Document with id "`+id+`", locale "null" not found`)
		}
		_, err := d.Create(patient(t), d.article, sent(t, `{"title": "rel5", "tags": [99999]}`), anything)
		const message = "1 relation(s) of type api::tag.tag associated with this entity do not exist"
		p := wantProblem(t, err, 400, message)
		value := map[string]any{"title": "rel5", "tags": map[string]any{"set": []map[string]any{{"id": int64(99999)}}}, "publishedAt": problem.Null{}}
		if want := (map[string][]problem.Field{"errors": {{Path: []any{}, Message: message, Name: "ValidationError", Value: value}}}); !reflect.DeepEqual(p.Details, want) {
			t.Errorf("%#v\nwant %#v", p.Details, want)
		}
		_, err = d.Create(patient(t), d.article, sent(t, `{"title": "x", "seo": {"head": "h", "tag": %q}}`, unknown), anything)
		wantProblem(t, err, 400, `Document with id "`+unknown+`", locale "null" not found`)
		id := d.create(t, d.article, anything, `{"title": "y"}`)
		tag, _ := d.tags(t, "go")
		err = d.Update(patient(t), d.article, id, sent(t, `{"tags": {"connect": [{"documentId": %q, "position": {"before": 77}}]}}`, tag["go"]), anything)
		wantProblem(t, err, 400, "There was a problem connecting relation with id "+tag["go"]+". The relation with id 77 needs to be connected first.")
	})
}

func TestARelationCanBeChangedFromItsOtherSide(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		tag, names := d.tags(t, "go", "node")
		one := d.create(t, d.article, anything, `{"title": "one", "tags": [%q]}`, tag["node"])
		two := d.create(t, d.article, Change{Draft: true}, `{"title": "two"}`)
		d.update(t, d.tag, tag["go"], anything, `{"articles": {"connect": [%q, %q]}}`, one, two)
		for row, want := range map[string]string{one: "node go", one + ".draft": "node go", two + ".draft": "go"} {
			if got := d.refs(t, d.article, row, "tags", names); got != want {
				t.Errorf("%s has %s, want %s", row, got, want)
			}
		}
		if got := d.history(t, two); got != "create draft [title seos] by edge\nupdate draft [tags] by edge" {
			t.Error(got)
		}
		if got := d.row(t, d.article, one).Int(rows.Revision); got != 2 {
			t.Error(got)
		}
		d.update(t, d.tag, tag["go"], anything, `{"articles": [%q]}`, two)
		if got := d.refs(t, d.article, one, "tags", names); got != "node" {
			t.Error(got)
		}
		d.update(t, d.tag, tag["go"], anything, `{"articles": {"disconnect": [%q]}}`, two)
		if got := d.refs(t, d.article, two+".draft", "tags", names); got != "" {
			t.Error(got)
		}
		if d.row(t, d.tag, tag["go"])["articles"] != nil {
			t.Error("the other side keeps something")
		}
	})
}

func TestWhatOnlyOneMayHaveIsTakenFromTheOneWhoHasIt(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		gold := d.create(t, d.badge, anything, `{"name": "gold"}`)
		ann := d.create(t, d.player, anything, `{"name": "ann", "badge": %q}`, gold)
		bob := d.create(t, d.player, anything, `{"name": "bob", "badge": %q}`, gold)
		wantValues(t, d.row(t, d.player, ann), store.Document{"badge": nil})
		wantValues(t, d.row(t, d.player, bob), store.Document{"badge": gold})
		d.update(t, d.badge, gold, anything, `{"player": %q}`, ann)
		wantValues(t, d.row(t, d.player, ann), store.Document{"badge": gold})
		wantValues(t, d.row(t, d.player, bob), store.Document{"badge": nil})

		red := d.create(t, d.team, anything, `{"name": "red", "players": [%q, %q]}`, ann, bob)
		blue := d.create(t, d.team, anything, `{"name": "blue", "players": {"connect": [%q]}}`, bob)
		wantValues(t, d.row(t, d.player, ann), store.Document{"team": red})
		wantValues(t, d.row(t, d.player, bob), store.Document{"team": blue})
		d.update(t, d.team, blue, anything, `{"players": []}`)
		wantValues(t, d.row(t, d.player, bob), store.Document{"team": nil})
	})
}

func TestNobodyChangesWhatIsNotHisThroughARelation(t *testing.T) {
	desks(t, func(t *testing.T, d *desk) {
		tag, _ := d.tags(t, "go")
		other := d.create(t, d.article, anything, `{"title": "two", "body": "other"}`)
		s := reader{only: map[access.Action]query.Expr{access.Update: is(d.article, "body", "mine")}}
		err := d.Update(patient(t), d.tag, tag["go"], sent(t, `{"articles": [%q]}`, other), Change{Scope: s})
		wantProblem(t, err, 403, "Forbidden")
		s.only[access.Find] = is(d.article, "body", "mine")
		err = d.Update(patient(t), d.tag, tag["go"], sent(t, `{"articles": [%q]}`, other), Change{Scope: s})
		wantProblem(t, err, 400, `Document with id "`+other+`", locale "null" not found`)
		s.never = "article"
		err = d.Update(patient(t), d.tag, tag["go"], sent(t, `{"articles": [%q]}`, other), Change{Scope: s})
		wantProblem(t, err, 400, "Invalid key articles")
	})
}

func TestTooManyOthersAreNotChangedAtOnce(t *testing.T) {
	d := newDesk(t, enginetest.Opened(t, engines.Addresses()["sqlite"](t)))
	team := d.create(t, d.team, anything, `{}`)
	var writes []store.Write
	for n := range maxOthers + 1 {
		id := rows.NewDocumentID()
		writes = append(writes, store.Insert{Collection: rows.Name(d.player), Document: store.Document{"id": id, rows.DocumentID: id, rows.Number: int64(n + 1), rows.Revision: int64(1), "team": team}})
	}
	if _, err := d.s.Apply(patient(t), writes...); err != nil {
		t.Fatal(err)
	}
	err := d.Update(patient(t), d.team, team, sent(t, `{"players": []}`), anything)
	wantProblem(t, err, 400, "This changes more than 450 other entries at once: change fewer relations")
}
