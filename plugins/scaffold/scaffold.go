// Package scaffold makes new plugins: `edge plugins new NAME`. What it makes builds, passes its own test and can be started by edge as it is.
//
// A plugin in Go is a module that needs nothing of ours from the network: the SDK's sources lie beside it, in the folder edge, as the module that its go.mod replaces
// ours with. Its go.mod and go.sum pin what the SDK stands on as this module's go.mod does; the test compares them, and makes them anew with -update.
//
// A plugin in Python is the sample plugins/samples/python, word for word. Its requirements.txt pins each package with its hashes; plugin_pb2.py is made of plugin.proto
// by `python -m grpc_tools.protoc -I plugins/internal/proto --python_out=plugins/samples/python plugin.proto` (grpcio-tools 1.85.1), and the test compares the two.
//
// In come templates for other languages. What a plugin may do is in the SDK, how it is run in host.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/plugins"
)

// The languages.
const (
	Go     = "go"
	Python = "python"
)

const (
	placeholder = "NAME"           // stands for the plugin's name in templates
	sample      = "samples/python" // the plugin in Python
	event       = "testdata/event.json"
	sdkFolder   = "edge" // of a plugin in Go
)

//go:embed go
var templates embed.FS

// New makes a plugin in a folder, which is missing or empty, and returns the files that it has made, as paths below the folder. name is the plugin's name in edge's
// configuration, and lang [Go] or [Python]. Errors have the code fault.Invalid when the name or the language is none, and fault.Conflict when something is
// there already. After an error nothing is left that was not there before.
func New(folder, name, lang string) (created []string, err error) {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`).MatchString(name) {
		return nil, fmt.Errorf("%q is no plugin's name: it has letters, digits, dots, dashes and underscores, at most 63 of them, and begins with a letter or digit: %w", name, fault.Invalid)
	}
	files, err := filesOf(name, lang)
	if err != nil {
		return nil, err
	}
	return write(folder, files)
}

// Next says what to do with a plugin that New has made.
func Next(folder, name, lang string) string {
	build, command := "go test && go build -o "+name+" .", filepath.Join(folder, name)
	if lang == Python {
		build = "python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt && .venv/bin/python -m unittest"
		command = filepath.Join(folder, "run")
	}
	if path := command; !filepath.IsAbs(path) {
		command = "." + string(filepath.Separator) + path // a path, and no plugin's name
	}
	return fmt.Sprintf(`Build it, and try it with a webhook from a file:

  (cd %[1]s && %[2]s)
  edge plugins test %[3]s %[4]s

Then name it in edge.yaml, with a source that it handles and a host that takes it, and have edge read that (edge reload):

  plugins:
    %[5]s: {command: %[3]s}
  webhooks:
    github: {verify: github, secret: "${GITHUB_SECRET}", plugin: %[5]s}
  hosts:
    webhooks.example.com: {default: {webhooks: true}}
`, folder, build, command, filepath.Join(folder, filepath.FromSlash(event)), name)
}

// filesOf are the files of a plugin.
func filesOf(name, lang string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	var err error
	switch lang {
	case Python:
		err = collect(files, plugins.Files(), sample, "", func(string) bool { return true })
	case Go:
		err = filesOfGo(files)
	default:
		return nil, fmt.Errorf("a plugin can be made in %s and %s, not in %q; any language that has gRPC will do, see plugins/README.md: %w", Go, Python, lang, fault.Invalid)
	}
	for file, text := range files {
		if lang == Go && path.Dir(file) == "." {
			files[file] = bytes.ReplaceAll(text, []byte(placeholder), []byte(name))
		}
	}
	return files, err
}

// filesOfGo adds the files of a plugin in Go, and the SDK's beside them.
func filesOfGo(files map[string][]byte) error {
	for file, template := range map[string]string{
		"main.go": "main.go.tmpl", "main_test.go": "main_test.go.tmpl", "go.mod": "plugin.mod", "go.sum": "plugin.sum", sdkFolder + "/go.mod": "edge.mod",
	} {
		text, err := templates.ReadFile("go/" + template)
		if err != nil {
			return err
		}
		files[file] = text
	}
	text, err := fs.ReadFile(plugins.Files(), sample+"/"+event)
	if err != nil {
		return err
	}
	files[event] = text
	source := func(file string) bool { return path.Ext(file) == ".go" && !strings.HasSuffix(file, "_test.go") }
	return errors.Join(
		collect(files, plugins.Files(), "sdk", sdkFolder+"/plugins/sdk", source),
		collect(files, plugins.Files(), "internal/proto", sdkFolder+"/plugins/internal/proto", source))
}

// collect adds the files below a folder that are wanted.
func collect(files map[string][]byte, from fs.FS, folder, to string, wanted func(file string) bool) error {
	return fs.WalkDir(from, folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !wanted(file) {
			return err
		}
		files[path.Join(to, strings.TrimPrefix(file, folder+"/"))], err = fs.ReadFile(from, file)
		return err
	})
}

// write writes files into a folder, or leaves it as it was.
func write(folder string, files map[string][]byte) (created []string, err error) {
	var made []string // in the order in which they were
	defer func() {
		if err == nil {
			return
		}
		for _, one := range slices.Backward(made) {
			err = errors.Join(err, os.Remove(one))
		}
	}()
	there, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("the folder %s is not empty: nothing in it is overwritten: %w", folder, fault.Conflict)
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name := filepath.Join(folder, filepath.FromSlash(file))
		if made, err = makeFolders(made, filepath.Dir(name)); err != nil {
			return nil, err
		}
		if made, err = writeNew(made, name, files[file]); err != nil {
			return nil, err
		}
		created = append(created, filepath.FromSlash(file))
	}
	return created, nil
}

// makeFolders makes a folder and those above it that are missing, and adds them to what was made.
func makeFolders(made []string, folder string) ([]string, error) {
	err := os.Mkdir(folder, 0o755)
	switch {
	case err == nil:
		return append(made, folder), nil
	case errors.Is(err, fs.ErrExist):
		if info, statErr := os.Stat(folder); statErr == nil && info.IsDir() {
			return made, nil
		}
		return made, err
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(folder) != folder:
		if made, err = makeFolders(made, filepath.Dir(folder)); err == nil {
			return makeFolders(made, folder)
		}
	}
	return made, err
}

// writeNew writes a file that is not there, and adds it to what was made.
func writeNew(made []string, name string, text []byte) ([]string, error) {
	mode := fs.FileMode(0o644)
	if bytes.HasPrefix(text, []byte("#!")) {
		mode = 0o755
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return made, err
	}
	made = append(made, name)
	_, err = f.Write(text)
	return made, errors.Join(err, f.Close())
}
