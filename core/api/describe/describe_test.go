package describe

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
)

var update = flag.Bool("update", false, "write what is made into testdata")

// everything is a set with all that a content type can have.
func everything(t *testing.T) *schema.Set {
	t.Helper()
	set, problems := schema.Load("testdata/api", []string{"en", "fr"})
	for _, p := range problems {
		if !p.Warning {
			t.Fatal(p)
		}
	}
	return set
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what is made: look at the change, and run the test with -update", file)
	}
}

func TestTheTypesAreAsKept(t *testing.T) {
	golden(t, "types.ts", TypeScript(everything(t)))
}

// Every reference in the document leads somewhere, and every path parameter is declared.
func TestReferencesLeadSomewhere(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(OpenAPI(everything(t), Options{Title: "T", Version: "1", Server: "/api"}), &doc); err != nil {
		t.Fatal(err)
	}
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				visit(e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				var at any = doc
				for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					inner, _ := at.(map[string]any)
					at = inner[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, e := range v {
				visit(e)
			}
		}
	}
	visit(doc)
}

func TestWhatNeedsATokenSaysSo(t *testing.T) {
	set := everything(t)
	policy := access.New(&config.API{Permissions: map[string][]string{"public": {"post.find"}}}, set)
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(OpenAPI(set, Options{Policy: policy}), &doc); err != nil {
		t.Fatal(err)
	}
	for operation, needs := range map[string]bool{
		"get /posts": false, "get /realtime/posts": false, "post /posts": true, "get /posts/{documentId}": true, "get /about": true, "post /auth/local": false, "post /auth/logout": true, "get /users/me": true,
	} {
		method, path, _ := strings.Cut(operation, " ")
		described, _ := doc.Paths[path][method].(map[string]any)
		if got := described["security"] != nil; described == nil || got != needs {
			t.Errorf("%s: %v", operation, described)
		}
	}
}

func TestWhatIsPrivateIsNotDescribedInAnswers(t *testing.T) {
	secret := &schema.Attribute{Name: "secret", Kind: schema.String, Private: true}
	word := &schema.Attribute{Name: "word", Kind: schema.Password}
	set, err := schema.New([]string{"en"}, []*schema.Type{{UID: "api::note.note", Name: "note", Plural: "notes", Table: "notes", Attributes: []*schema.Attribute{secret, word}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	types := string(TypeScript(set))
	entry := types[strings.Index(types, "export interface Note {"):strings.Index(types, "export interface NoteInput {")]
	if strings.Contains(entry, "secret") || strings.Contains(entry, "word") {
		t.Error(entry)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(OpenAPI(set, Options{}), &doc); err != nil {
		t.Fatal(err)
	}
	note := doc.Components.Schemas["Note"].Properties
	if note["documentId"] == nil || note["secret"] != nil || note["word"] != nil {
		t.Error(note)
	}
}

// What uses the types compiles, and what uses them wrongly does not: with the web app's own TypeScript.
func TestTheTypesHoldInTypeScript(t *testing.T) {
	tsc, err := filepath.Abs("../../../web/app/node_modules/.bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tsc); err != nil {
		t.Skip("SKIPPED: no TypeScript: `make web` installs it: ", err)
	}
	use, err := os.ReadFile("testdata/use.txt")
	if err != nil {
		t.Fatal(err)
	}
	text := string(use)
	for wrong := range strings.SplitSeq(wrongUses, "\n") {
		text += "// @ts-expect-error\n" + wrong + "\n"
	}
	folder := t.TempDir()
	for name, text := range map[string]string{"types.ts": string(TypeScript(everything(t))), "use.ts": text} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", filepath.Join(folder, "use.ts")}
	if out, err := exec.CommandContext(t.Context(), tsc, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// wrongUses are lines that do not compile, each by itself.
const wrongUses = `const a: PostInput = { title: 1 };
const b: string = post.title.length;
const c: AuthorInput = { posts: { connect: [true] } };
const d: PostInput = {};
const e: Collections["abouts"]["entry"] = about;
list("posts", { filters: { titel: "x" } });
list("posts", { filters: { title: { $like: "x" } } });
list("posts", { filters: { mood: "ugly" } });
list("posts", { filters: { author: { title: "x" } } });
list("posts", { sort: "titel" });
list("posts", { sort: "title:down" });
list("posts", { fields: ["author"] });
list("posts", { populate: ["title"] });
list("posts", { populate: { author: { fields: ["title"] } } });
list("posts", { status: "old" });
update("authors", "x", { title: "y" });
page.data.title;`
