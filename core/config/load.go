package config

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Env is what a configuration may take from around it. The zero Env has nothing to give.
type Env struct {
	LookupEnv      func(name string) (string, bool) // environment variables; nil: none
	Credentials    string                           // folder of systemd's credentials (CREDENTIALS_DIRECTORY), "" for none
	StateDirectory string                           // folders for data with colons between them (STATE_DIRECTORY), "" for none
}

// A document is what one file may say.
type document struct {
	Include []string `yaml:"include" is:"glob" doc:"Files to add, sorted: a path or a pattern such as conf.d/*.yaml, relative to this file."`
	Config  `yaml:",inline"`
}

// Load reads the configuration in the file at path and in the files that it includes. The Config is nil if there is
// more among the problems than warnings; problems are in the order of the files.
//
// The checks are the other rooms' own. They run even if there are problems already, so that all are found in one go:
// the Config they get then lacks what could not be read, and what they say of that, or only warn of, is left out.
func Load(path string, env Env, checks ...func(*Config) []Problem) (*Config, []Problem) {
	l := newLoader(env)
	root := l.read(path, place{}, 0)
	complete := !Failed(l.problems)

	var doc document
	l.value(root, reflect.ValueOf(&doc).Elem(), field{}, "")
	c := &doc.Config
	c.Files, c.places, c.withheld = l.files, l.places, l.withheld
	c.fillIn(env)

	problems := l.problems
	if complete { // else names that are missing may stand in what could not be read
		partial := Failed(problems)
		problems = append(problems, check(c, partial)...)
		for _, other := range checks {
			problems = c.addNews(problems, other(c), partial)
		}
	}
	problems = sorted(problems, l.files)
	for i, p := range problems {
		problems[i] = l.withheld.from(p)
	}
	if Failed(problems) {
		return nil, problems
	}
	return c, problems
}

// addNews adds the problems that stand where none stands yet and nothing was unreadable.
func (c *Config) addNews(problems, more []Problem, partial bool) []Problem {
	type spot struct {
		file      string
		line, col int
	}
	taken := map[spot]bool{}
	for _, p := range problems {
		if p.Line > 0 && !p.Warning {
			taken[spot{p.File, p.Line, p.Col}] = true
		}
	}
	for _, at := range c.places {
		if at.bad {
			taken[spot{at.file, at.line, at.col}] = true
		}
	}
	for _, p := range more {
		if taken[spot{p.File, p.Line, p.Col}] || p.Warning && partial {
			continue
		}
		problems = append(problems, p)
	}
	return problems
}

// sorted puts problems in the order of the files and of the places in them.
func sorted(problems []Problem, files []string) []Problem {
	order := map[string]int{}
	for i, file := range files {
		order[file] = i
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return problems
}

// A loader reads files and joins them into one mapping.
type loader struct {
	decoder
	composer composer
	files    []string
	byPath   map[string]bool // absolute paths of the files read
}

func newLoader(env Env) *loader {
	return &loader{
		decoder: decoder{expander: &expander{env: env}, grammar: newGrammar(), places: places{}, withheld: withheld{}},
		byPath:  map[string]bool{},
	}
}

// read returns what a file and its includes say, or nil if that is nothing. from is the include that names it.
func (l *loader) read(name string, from place, depth int) *node {
	src, err := openSource(name)
	if err != nil {
		if from == (place{}) {
			from.file = name
			l.files = append(l.files, name)
			l.fail(from, "%s", err)
		} else {
			l.fail(from, "include %s: %s", name, err)
		}
		return nil
	}
	l.files = append(l.files, name)
	l.byPath[absolute(name)] = true
	root := l.composer.compose(src)
	l.problems = append(l.problems, l.composer.problems...)
	l.composer.problems = nil
	if root == nil || root.isNull() {
		return nil
	}
	if root.kind != mapping {
		l.fail(root.place, "a configuration is a mapping of %s, and this is %s", strings.Join(l.grammar.shape(reflect.TypeFor[document]()).names(), ", "), root.what())
		return nil
	}
	return l.withIncludes(src, root, depth)
}

// withIncludes joins a file's own keys with those of the files that it includes.
func (l *loader) withIncludes(src *source, root *node, depth int) *node {
	joined := &node{src: src, place: root.place, kind: mapping}
	var include *node
	for _, e := range root.entries {
		switch {
		case e.key.text != "include" || e.key.kind != scalar:
			joined.entries = append(joined.entries, e)
		case include != nil:
			l.fail(e.key.place, "key \"include\" is given twice; first at %s", include.place)
		default:
			include = e.value
		}
	}
	if include == nil {
		return joined
	}
	if depth == maxNesting {
		l.fail(include.place, "includes are nested in each other more than %d deep", maxNesting)
		return joined
	}
	for _, file := range l.included(src, include) {
		if other := l.read(file.name, file.from, depth+1); other != nil {
			l.join(joined, other)
		}
	}
	return joined
}

// An inclusion is a file to read and the place that names it.
type inclusion struct {
	name string
	from place
}

// included returns the files that an include names: those of a pattern sorted, hidden ones left out.
func (l *loader) included(src *source, n *node) []inclusion {
	var doc document
	f, _ := l.grammar.shape(reflect.TypeFor[document]()).lookup("include")
	l.places[child("", "include")] = n.place
	l.value(n, reflect.ValueOf(&doc.Include).Elem(), f, child("", "include"))
	var files []inclusion
	for i, pattern := range doc.Include {
		from := l.places[pathKey("include", i)]
		for _, name := range l.matches(src, pattern, from) {
			switch {
			case l.byPath[absolute(name)]:
				l.fail(from, "include %s: it is included already", name)
			case len(l.byPath) >= maxIncludes:
				l.fail(from, "the configuration is spread over more than %d files", maxIncludes)
				return files
			default:
				l.byPath[absolute(name)] = true
				files = append(files, inclusion{name, from})
			}
		}
	}
	return files
}

// matches returns the files of a path or of a pattern, whose wildcards may only stand in its last part: one folder is
// read, however large the disk is.
func (l *loader) matches(src *source, pattern string, from place) []string {
	if pattern == "" { // a problem, which is noted already
		return nil
	}
	dir, last := filepath.Split(pattern)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(src.name), dir)
	}
	const wildcards = "*?["
	switch _, err := filepath.Match(last, ""); {
	case strings.ContainsAny(filepath.Dir(pattern), wildcards):
		l.fail(from, "include: * and ? may only stand in the last part of %s", from.show(pattern))
		return nil
	case !strings.ContainsAny(last, wildcards):
		return []string{filepath.Join(dir, last)}
	case err != nil:
		l.fail(from, "include: %s is no pattern: a [ has no ]", from.show(pattern))
		return nil
	}
	var names []string
	entries, err := os.ReadDir(dir) // sorted
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.fail(from, "include %s: %s", dir, bare(err))
	}
	for _, entry := range entries {
		if ok, _ := filepath.Match(last, entry.Name()); ok && !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, filepath.Join(dir, entry.Name()))
		}
	}
	return names
}

// join adds the entries of another file. Maps such as hosts become one; what is given twice all the same is found
// when they are decoded.
func (l *loader) join(into, other *node) {
	s := l.grammar.shape(reflect.TypeFor[document]())
	for _, e := range other.entries {
		f, known := s.lookup(e.key.text)
		i := slices.IndexFunc(into.entries, func(have entry) bool {
			return known && f.typ.Kind() == reflect.Map && have.key.text == e.key.text && have.value.src != e.value.src &&
				have.value.isMapping() && e.value.isMapping()
		})
		if i < 0 {
			into.entries = append(into.entries, e)
			continue
		}
		both := *into.entries[i].value
		both.kind = mapping
		both.entries = slices.Concat(both.entries, e.value.entries)
		into.entries[i].value = &both
	}
}

func absolute(name string) string {
	if path, err := filepath.Abs(name); err == nil {
		return path
	}
	return name
}
