package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// TestInstall installs the command as `go install …/edge@VERSION` does, from a module proxy that is a folder, and has the
// binary serve from an empty folder: all that it needs is inside it.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: builds the module again")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	const version = "v0.0.1"
	proxy := t.TempDir()
	publish(t, proxy, root, version)

	cache := strings.TrimSpace(run(t, root, nil, "go", "env", "GOMODCACHE"))
	bin, mods := t.TempDir(), t.TempDir()
	t.Cleanup(func() { run(t, root, []string{"GOMODCACHE=" + mods}, "go", "clean", "-modcache") })
	run(t, t.TempDir(), []string{
		"GOBIN=" + bin, "GOMODCACHE=" + mods, "GOFLAGS=-buildvcs=false", "GONOSUMDB=*", "GONOSUMCHECK=1", "GOWORK=off",
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache", "download"),
	}, "go", "install", "-trimpath", "github.com/onehost/edge/edge@"+version) // as make build: what it has compiled is used again

	edge, work := filepath.Join(bin, "edge"), t.TempDir()
	if got := run(t, work, nil, edge, "version"); !strings.HasPrefix(got, "edge "+version+" ") {
		t.Errorf("version: %s", got)
	}
	run(t, work, nil, edge, "init")
	run(t, work, nil, edge, "check")
	replaceIn(t, filepath.Join(work, "edge.yaml"), `":8080"`, "127.0.0.1:0", `":8443"`, "127.0.0.1:0")

	serving := exec.Command(edge, "run")
	serving.Dir, serving.Stderr = work, t.Output()
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serving.Wait() }()
	t.Cleanup(func() {
		serving.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			t.Errorf("edge run: %v", err)
		}
	})
	address := awaitHTTPS(t, edge, work)
	page := run(t, work, nil, "curl", "-sS", "--cacert", "data/ca/root.crt", "--connect-to", "localhost:443:"+address, "https://localhost/")
	if !strings.Contains(page, "<!doctype html>") && !strings.Contains(page, "<!DOCTYPE html>") {
		t.Errorf("the first page is\n%s", page)
	}
}

// publish puts the module in root as version into a proxy's folder (go.dev/ref/mod, section GOPROXY protocol).
func publish(t *testing.T, proxy, root, version string) {
	t.Helper()
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	path := modfile.ModulePath(goMod)
	dir := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	info, _ := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC().Format(time.RFC3339)})
	for name, data := range map[string][]byte{version + ".info": info, version + ".mod": goMod, "list": []byte(version + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	m := module.Version{Path: path, Version: version}
	tree := filepath.Join(t.TempDir(), "tree")
	copyTracked(t, root, tree)
	if err := zip.CreateFromDir(archive, m, tree); err != nil {
		t.Fatal(err)
	}
}

// copyTracked copies the files that git tracks, or would: what a version control's tag would hold.
func copyTracked(t *testing.T, root, to string) {
	t.Helper()
	for _, name := range strings.Split(run(t, root, nil, "git", "ls-files", "-co", "--exclude-standard", "-z"), "\x00") {
		if name == "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitHTTPS waits until a server in dir serves and returns the address of its https listener.
func awaitHTTPS(t *testing.T, edge, dir string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		status := exec.Command(edge, "status", "--json")
		status.Dir = dir
		out, err := status.Output()
		if err != nil {
			continue // each try takes as long as a process takes
		}
		var st struct {
			Listeners []struct{ Name, Address string }
		}
		if err := json.Unmarshal(out, &st); err != nil {
			t.Fatal(err)
		}
		for _, ln := range st.Listeners {
			if ln.Name == "https" {
				return ln.Address
			}
		}
	}
	t.Fatal("edge does not serve")
	return ""
}

// run runs a command to its end and returns what it printed on stdout.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), env...)
	var errOut strings.Builder
	command.Stderr = &errOut
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errOut.String())
	}
	return string(out)
}

// replaceIn replaces strings, given in pairs, in a file, each of which must be there.
func replaceIn(t *testing.T, file string, pairs ...string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s does not hold %s", file, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
