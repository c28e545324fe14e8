package schema

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var english = []string{"en"}

func TestASetOfNothingHasTheBuiltInTypes(t *testing.T) {
	s, err := New(english, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, s, "testdata/builtin.golden")
}

func TestNewTakesStandInsForTargetsAndCopiesWhatItGets(t *testing.T) {
	author := &Attribute{Name: "author", Kind: RelationTo, Relation: ManyToOne, Target: &Type{UID: UserUID}}
	cover := &Attribute{Name: "cover", Kind: Media}
	slug := &Attribute{Name: "slug", Kind: UID}
	article := &Type{UID: "api::article.article", Name: "article", Plural: "articles", Attributes: []*Attribute{author, cover, slug}}
	s, err := New(english, []*Type{article}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Type("article")
	if got.Attribute("author").Target != s.Type("user") || got.Attribute("cover").Target != s.Type("file") || !got.Attribute("slug").Unique {
		t.Errorf("%s", Encode(s))
	}
	if got == article || author.Target == s.Type("user") || cover.Target != nil || slug.Unique {
		t.Error("what was given has changed")
	}
}

func TestNewSaysWhereWhatIsWrongIs(t *testing.T) {
	_, err := New(english, []*Type{{UID: "api::a.a", Name: "a", Plural: "as", Attributes: []*Attribute{{Name: "id", Kind: String}, {Name: "x", Kind: "strange"}}}},
		[]*Component{{UID: "one"}})
	want := `a.id: the name "id" is reserved; choose another
a.x: "strange" is no kind of attribute
one: "one" is no UID of a component: it is CATEGORY.NAME, of letters, digits, - and _`
	for line := range strings.Lines(want) {
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(line)) {
			t.Errorf("%v, want %s", err, line)
		}
	}
}

func TestOfALocalizedTypeRelationsAndUIDsAreAlwaysLocalized(t *testing.T) {
	all := func() []*Attribute {
		return []*Attribute{
			{Name: "title", Kind: String, Localized: true}, {Name: "views", Kind: Integer}, {Name: "slug", Kind: UID},
			{Name: "author", Kind: RelationTo, Relation: ManyToOne, Target: &Type{UID: UserUID}}, {Name: "cover", Kind: Media},
		}
	}
	s, err := New(english, []*Type{
		{UID: "api::a.a", Name: "a", Plural: "as", Localized: true, Attributes: all()},
		{UID: "api::b.b", Name: "b", Plural: "bs", Attributes: all()},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "title slug author", "b": ""} {
		var got []string
		for _, a := range s.Type(name).Attributes {
			if a.Localized {
				got = append(got, a.Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("of %s %v are localized, want %s", name, got, want)
		}
	}
}

func TestComponentsAreNotNestedWithoutMeasure(t *testing.T) {
	chain := func(n int) error {
		var all []*Component
		for i := range n {
			c := &Component{UID: fmt.Sprintf("c.n%02d", i)}
			if i+1 < n {
				c.Attributes = []*Attribute{{Name: "next", Kind: Part, Component: &Component{UID: fmt.Sprintf("c.n%02d", i+1)}}}
			}
			all = append(all, c)
		}
		_, err := New(english, nil, all)
		return err
	}
	if err := chain(maxComponents); err != nil {
		t.Error(err)
	}
	for _, n := range []int{maxComponents + 1, 500} {
		if err := chain(n); err == nil || !strings.Contains(err.Error(), "deep") {
			t.Errorf("%d components in each other: %v", n, err)
		}
	}
}

func TestFoldersAreBounded(t *testing.T) {
	big := func(folder string) { write1(t, filepath.Join(folder, "a.yaml"), strings.Repeat("#", maxFile+1)) }
	many := func(folder string) {
		for i := range maxFiles + 2 {
			write1(t, filepath.Join(folder, fmt.Sprintf("%d.yaml", i)), fmt.Sprintf("{kind: collectionType, info: {singularName: a%d, pluralName: as%d}, attributes: {}}", i, i))
		}
	}
	deep := func(folder string) {
		write1(t, filepath.Join(folder, strings.Repeat("a/", maxFolders), "a.yaml"), "attributes: {}")
	}
	nested := func(folder string) {
		write1(t, filepath.Join(folder, "a.json"), strings.Repeat("[", 5000)+strings.Repeat("]", 5000))
	}
	bomb := func(folder string) {
		text := "a: &a0 [x]\n"
		for i := range 30 {
			text += fmt.Sprintf("b%d: &a%d [*a%d, *a%d]\n", i, i+1, i, i)
		}
		write1(t, filepath.Join(folder, "a.yaml"), text)
	}
	wide := func(folder string) {
		text := "kind: collectionType\ninfo: {singularName: a, pluralName: as}\nattributes:\n"
		for i := range maxAttributes + 1 {
			text += fmt.Sprintf("  a%d: {type: string}\n", i)
		}
		write1(t, filepath.Join(folder, "a.yaml"), text)
	}
	nothing := func(string) {}
	for name, c := range map[string]struct {
		make func(string)
		want string
	}{
		"big": {big, "larger than 1024 KiB"}, "many": {many, "more than 1000 files"}, "deep": {deep, "more than 8 deep"}, "nested": {nested, "nested in each other"},
		"bomb": {bomb, "more than 100000 values"}, "wide": {wide, "more than 500 attributes"}, "nothing": {nothing, "no content type in this folder"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			c.make(folder)
			s, problems := Load(folder, english)
			if s != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, c.want) {
				t.Errorf("%v, want one that says %q", problems, c.want)
			}
		})
	}
}

func write1(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderThatIsNotThereIsAProblem(t *testing.T) {
	if s, problems := Load(filepath.Join(t.TempDir(), "none"), english); s != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "no such file") {
		t.Error(problems)
	}
}

func TestAPipeInTheFolderIsNotRead(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink(os.DevNull, filepath.Join(folder, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, problems := Load(folder, english); len(problems) != 1 || !strings.Contains(problems[0].Message, "not a regular file") {
		t.Error(problems)
	}
}

func FuzzDescription(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*", "testdata/flat/*.y*ml", "testdata/recorded/*", "testdata/project/src/*/*/*.json", "testdata/project/src/*/*/*/*/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text), strings.HasSuffix(file, ".json"))
		}
	}
	f.Fuzz(func(t *testing.T, text string, isJSON bool) {
		name := map[bool]string{true: "a.json", false: "a.yaml"}[isJSON]
		l := &loader{builder: newBuilder(english)}
		root, err := (&file{name, text}).parse()
		if err != nil {
			return
		}
		l.describe(root, home{category: "x", base: "a"})
		if len(l.problems) > 0 {
			for _, p := range l.problems {
				_ = p.Error()
			}
			return
		}
		s := l.set()
		if s == nil {
			return
		}
		kept := Encode(s)
		again, err := Decode(kept)
		if err != nil {
			t.Fatalf("%s: %v", kept, err)
		}
		if !bytes.Equal(Encode(again), kept) {
			t.Errorf("%s\nbecomes\n%s", kept, Encode(again))
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"locales":["en"],"types":[{"uid":"a","attributes":[{"name":"x","kind":"float","default":1e400}]}]}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if s, err := Decode(text); err == nil {
			Encode(s)
		}
	})
}
