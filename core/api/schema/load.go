package schema

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits that keep bad files from taking the process with them, and names within what a store takes.
const (
	maxFiles      = 1_000   // of a folder
	maxFile       = 1 << 20 // bytes
	maxBytes      = 16 << 20
	maxFolders    = 8       // in each other
	maxEntries    = 10_000  // of folders
	maxNodes      = 100_000 // values of one file
	maxDepth      = 32      // values in each other
	maxProblems   = 1_000   // more help nobody
	maxAttributes = 500
	maxComponents = 10 // in each other
	maxName       = 64 // of an attribute
	maxTypeName   = 56 // its collection is content-NAME
	maxUID        = 128
	maxString     = 255 // characters of a string
)

// A Problem is something wrong, or worth a warning, at a place in a file of content types.
type Problem struct {
	File      string
	Line, Col int    // from 1, Col in bytes; 0 if it is of no line
	Message   string // says what to do about it
	Warning   bool   // the content types may be used all the same
}

// Error makes a Problem an error.
func (p Problem) Error() string {
	message := p.Message
	if p.Warning {
		message = "warning: " + message
	}
	switch {
	case p.File == "":
		return message
	case p.Line == 0:
		return p.File + ": " + message
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, message)
}

// Load reads the content types of a folder. The Set is nil if there is more among the problems than warnings; they are in the
// order of the files.
//
// The folder is that of a Strapi project, or its src: then src/api/API/content-types/TYPE/schema.json, src/components/CATEGORY/NAME.json and
// src/extensions/users-permissions/content-types/user/schema.json are read. Any other folder has a NAME.json or NAME.yaml for each type, and for
// each component one in a folder that is its category: they are told apart by kind, which components have not. What
// begins with a dot is left out.
func Load(folder string, locales []string) (*Set, []Problem) {
	l := &loader{builder: newBuilder(locales)}
	if src, ok := project(folder); ok {
		l.project(src)
	} else {
		l.folder(folder, 1)
	}
	if l.files == 0 && len(l.problems) == 0 {
		l.add(Problem{File: folder, Message: "there is no content type in this folder: neither a NAME.json nor a NAME.yaml"})
	}
	whole := !slices.ContainsFunc(l.problems, func(p Problem) bool { return !p.Warning })
	var set *Set
	if whole { // else what is missing may stand in what could not be read
		set = l.set()
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return set, l.problems
}

// project returns the src folder of a Strapi project.
func project(folder string) (src string, ok bool) {
	for _, src := range []string{filepath.Join(folder, "src"), folder} {
		for _, inside := range []string{"api", "extensions"} {
			found, err := filepath.Glob(filepath.Join(escaped(src), inside, "*", "content-types"))
			if err == nil && len(found) > 0 {
				return src, true
			}
		}
	}
	return "", false
}

// escaped makes a path one that Glob takes as it is.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// A loader reads files into a builder.
type loader struct {
	*builder
	files, bytes, entries int
}

func (l *loader) add(p Problem) {
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, p)
	}
}

// project reads what a Strapi project describes.
func (l *loader) project(src string) {
	for _, api := range l.list(filepath.Join(src, "api")) {
		types := filepath.Join(src, "api", api, "content-types")
		for _, name := range l.list(types) {
			l.schemaJSON(filepath.Join(types, name), home{api: api})
		}
	}
	for _, plugin := range l.list(filepath.Join(src, "extensions")) {
		types := filepath.Join(src, "extensions", plugin, "content-types")
		for _, name := range l.list(types) {
			l.schemaJSON(filepath.Join(types, name), home{plugin: plugin})
		}
	}
	components := filepath.Join(src, "components")
	for _, category := range l.list(components) {
		for _, name := range l.list(filepath.Join(components, category)) {
			if base, ok := strings.CutSuffix(name, ".json"); ok {
				l.file(filepath.Join(components, category, name), home{category: category, base: base, component: true})
			}
		}
	}
}

// schemaJSON reads the schema.json of a type's folder.
func (l *loader) schemaJSON(folder string, from home) {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return
	}
	name := filepath.Join(folder, "schema.json")
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		l.add(Problem{File: folder, Message: "there is no schema.json here; a content type that is written in JavaScript has to be written as one"})
		return
	}
	l.file(name, from)
}

// folder reads every file of types and components in a folder and those below.
func (l *loader) folder(folder string, depth int) {
	if depth > maxFolders {
		l.add(Problem{File: folder, Message: fmt.Sprintf("folders are more than %d deep in each other here", maxFolders)})
		return
	}
	for _, name := range l.list(folder) {
		path := filepath.Join(folder, name)
		info, err := os.Stat(path)
		ext := filepath.Ext(name)
		switch {
		case err == nil && info.IsDir() && name != "node_modules":
			l.folder(path, depth+1)
		case ext == ".json" || ext == ".yaml" || ext == ".yml":
			from := home{base: strings.TrimSuffix(name, ext)}
			if depth > 1 {
				from.category = filepath.Base(folder)
			}
			l.file(path, from)
		}
	}
}

// list are the names in a folder, hidden ones left out. A folder that is not there has none, but for the one that all begins with.
func (l *loader) list(folder string) []string {
	entries, err := os.ReadDir(folder) // sorted
	if err != nil && (!errors.Is(err, fs.ErrNotExist) || l.entries == 0) {
		if info, e := os.Stat(folder); e != nil || info.IsDir() { // a file between folders is none of them
			l.add(Problem{File: folder, Message: bare(err).Error()})
		}
	}
	var names []string
	for _, e := range entries {
		if l.entries++; l.entries > maxEntries {
			l.add(Problem{File: folder, Message: fmt.Sprintf("there are more than %d files and folders up to here", maxEntries)})
			return nil
		}
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// bare takes the operation and the path from an error, which the problem names already.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// file reads one file.
func (l *loader) file(path string, from home) {
	if l.files++; l.files > maxFiles {
		if l.files == maxFiles+1 {
			l.add(Problem{File: path, Message: fmt.Sprintf("there are more than %d files of content types", maxFiles)})
		}
		return
	}
	text, err := readFile(path)
	if err != nil {
		l.add(Problem{File: path, Message: err.Error()})
		return
	}
	if l.bytes += len(text); l.bytes > maxBytes {
		l.add(Problem{File: path, Message: fmt.Sprintf("the files have more than %d MiB in all", maxBytes>>20)})
		return
	}
	root, err := (&file{path, strings.TrimPrefix(text, "\ufeff")}).parse()
	if e, ok := errors.AsType[*errAt](err); ok {
		l.add(e.problem(e.message))
		return
	}
	l.describe(root, from)
}

// readFile reads a regular file, which no device or pipe is: they could block for ever.
func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", bare(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", bare(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", bare(err)
	case len(text) > maxFile:
		return "", fmt.Errorf("it is larger than %d KiB", maxFile>>10)
	case !utf8.Valid(text):
		return "", errors.New("it is not UTF-8")
	}
	return string(text), nil
}
