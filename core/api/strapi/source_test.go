package strapi

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/schema"
	"golang.org/x/crypto/bcrypt"
)

func TestTheTypesAreThoseOfTheProject(t *testing.T) {
	s := source(t, project(t))
	set, files, problems, err := s.Types(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	page := set.UID("api::page.page")
	if page == nil || !page.Drafts || !page.Localized || page.Attribute("quotes").Component.Attribute("seo").Component.UID != "shared.seo" || page.Attribute("count").Kind != schema.BigInteger {
		t.Errorf("page is %+v", page)
	}
	if tags := set.Type("tag"); tags.Drafts || tags.Attribute("articles").MappedBy != "tags" || !set.Type("homepage").Single {
		t.Errorf("tag is %+v", tags)
	}
	if got := set.Locales(); !slices.Equal(got, []string{"en", "fr", "de"}) {
		t.Errorf("the locales are %v", got)
	}
	if len(problems) != 1 || problems[0].What != "api::page.page.any" {
		t.Errorf("problems: %v", problems)
	}
	if _, there := files["components/shared/seo.json"]; len(files) != 6 || !there {
		t.Errorf("the files are %d", len(files))
	}
}

func TestOfADatabaseAloneTheComponentsAreLeftOut(t *testing.T) {
	s := source(t, filepath.Join(project(t), ".tmp", "data.db"))
	set, _, problems, err := s.Types(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if set.Type("page").Attribute("seo") != nil || set.Type("article").Attribute("tags") == nil {
		t.Error("page has a component that nobody knows, or article lacks its tags")
	}
	if len(problems) != 4 || !strings.Contains(problems[0].String(), "name the project's folder") {
		t.Errorf("problems: %v", problems)
	}
}

func TestWhatIsNoStrapi5IsRefused(t *testing.T) {
	folder := project(t)
	database := filepath.Join(folder, ".tmp", "data.db")
	moved := filepath.Join(folder, "moved.db")
	if err := os.Rename(database, moved); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(folder, "note.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(folder, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		folder:                         "DATABASE_FILENAME",
		filepath.Join(folder, "src"):   "no folder src",
		text:                           "not a database",
		empty:                          "tables are missing",
		filepath.Join(folder, "no.db"): "no such file",
	} {
		if s, err := Open(path); err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, ".env"), []byte("HOST=x\nDATABASE_FILENAME=\"moved.db\" # here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source(t, folder)
}

// the picks the record of a type that has a value.
func the(t *testing.T, records []Record, uid, attribute string, value any, status, locale string) Record {
	t.Helper()
	i := slices.IndexFunc(records, func(r Record) bool {
		return r.Type == uid && r.Values[attribute] == value && r.Status == status && r.Locale == locale
	})
	if i < 0 {
		t.Fatalf("no %s with %s %v, %s %s", uid, attribute, value, status, locale)
	}
	return records[i]
}

func TestRecordsAreWhatStrapiHas(t *testing.T) {
	records := all(t, source(t, project(t)))
	if len(records) != 3+4+2+228+1+7+5 || records[0].Type != schema.RoleUID || records[3].Type != schema.UserUID {
		t.Fatalf("there are %d, first %s", len(records), records[0].Type)
	}
	alice := the(t, records, schema.UserUID, "username", "alice", "", "")
	if bcrypt.CompareHashAndPassword([]byte(alice.Password), []byte("Passw0rd-alice")) != nil || alice.Values["role"] != records[0].Document || alice.Values["confirmed"] != true {
		t.Errorf("alice is %+v", alice)
	}
	for name := range alice.Values {
		if strings.Contains(name, "assword") {
			t.Errorf("alice has the value %s", name)
		}
	}
	article := the(t, records, "api::article.article", "title", "Alpha 001", "published", "")
	node, sql := the(t, records, "api::tag.tag", "name", "node", "", "").Document, the(t, records, "api::tag.tag", "name", "sql", "", "").Document
	if got := article.Values["tags"].([]any); article.Number != 2 || article.Values["rating"] != 0.15 || article.Published.IsZero() || len(got) != 2 || got[0] != node || got[1] != sql {
		t.Errorf("article 1 is %+v", article)
	}
}

func TestDraftsLanguagesAndPartsAreToldApart(t *testing.T) {
	records := all(t, source(t, project(t)))
	published := the(t, records, "api::page.page", "title", "Root", "published", "en")
	draft := the(t, records, "api::page.page", "title", "Root, being edited", "draft", "en")
	french := the(t, records, "api::page.page", "title", "Racine", "published", "fr")
	if published.Document != draft.Document || published.Document != french.Document || !draft.Published.IsZero() {
		t.Error("the versions of a page are not one entry")
	}
	if quotes := draft.Values["quotes"].([]any); len(quotes) != 1 || quotes[0].(map[string]any)["text"] != "only" || french.Values["quotes"] != nil {
		t.Errorf("the draft's quotes are %v, the French ones %v", quotes, french.Values["quotes"])
	}
	zone := published.Values["zone"].([]any)
	first, second := zone[0].(map[string]any), zone[1].(map[string]any)
	fifth := the(t, records, "api::article.article", "title", "Alpha 005", "published", "").Document
	if len(zone) != 3 || first["__component"] != "shared.quote" || first["article"] != fifth || second["title"] != "z2" {
		t.Errorf("the zone is %v", zone)
	}
	note, picture := the(t, records, schema.FileUID, "name", "note.txt", "", "").Document, the(t, records, schema.FileUID, "name", "Blue picture.png", "", "").Document
	if got := published.Values["gallery"].([]any); len(got) != 2 || got[0] != note || got[1] != picture || published.Values["seo"].(map[string]any)["picture"] != picture {
		t.Errorf("the gallery is %v, the seo %v", got, published.Values["seo"])
	}
	if published.Values["at"] != "2026-05-01T18:30:00.123Z" || published.Values["clock"] != "18:30:00.000" || published.Values["on"] != false || published.Values["camelCase"] != "Yes" {
		t.Errorf("the page is %v", published.Values)
	}
	child := the(t, records, "api::page.page", "title", "Child one", "published", "en")
	if child.Values["parent"] != published.Document || published.Values["children"] != nil {
		t.Errorf("the child's parent is %v", child.Values["parent"])
	}
}

func TestPermissionsBecomeConfiguration(t *testing.T) {
	text, err := source(t, project(t)).Permissions(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"permissions:\n",
		"  editor: [article.update]\n",
		"  public: [article.find, article.findOne, homepage.find, page.find, tag.find, tag.findOne]\n",
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
	if strings.Contains(string(text), "auth.") || !strings.Contains(string(text), "user.find]") {
		t.Errorf("they are\n%s", text)
	}
}

func TestWhatIsLeftIsSaid(t *testing.T) {
	left, err := source(t, project(t)).Left(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, p := range left {
		what = append(what, p.What)
	}
	if !slices.Equal(what, []string{"api::page.page.any", "API tokens", "webhooks"}) {
		t.Errorf("left are %v", left)
	}
}

func TestFilesComeWithTheirSmallerPictures(t *testing.T) {
	folder := project(t)
	var names []string
	for f, err := range source(t, folder).Files(patient(t)) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"Blue_picture_2429dd15ab.png", "thumbnail_Blue_picture_2429dd15ab.png", "note_7d20f7b07b.txt"}) {
		t.Errorf("the files are %v", names)
	}
	if err := os.Remove(filepath.Join(folder, "public", "uploads", names[0])); err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for _, err := range source(t, folder).Files(patient(t)) {
		if err != nil {
			bad++
		} else {
			good++
		}
	}
	if good != 2 || bad != 1 {
		t.Errorf("without one there are %d, and %d are missing", good, bad)
	}
}

func TestAFilesNameStaysInItsFolder(t *testing.T) {
	for address, want := range map[string]string{"/uploads/a.png": "a.png", "https://cdn.example/uploads/a.png": "a.png", "/uploads/../x": "", "/uploads/..": "", "/uploads/a/b": "", "/uploads/": "", "/x": ""} {
		if got := fileName(address); got != want {
			t.Errorf("%s is %q, want %q", address, got, want)
		}
	}
}
