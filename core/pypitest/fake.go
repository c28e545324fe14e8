package pypitest

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Fake makes PATH's python3 a script that brings one package of these files, and the cache an empty folder, until the test ends. It returns how often something was brought.
// Before it brings something it runs a command of the shell.
func Fake(t testing.TB, files map[string]string, before string) (brought func() int) {
	t.Helper()
	folder := t.TempDir()
	archive, log := filepath.Join(folder, "a.whl"), filepath.Join(folder, "brought")
	writeZip(t, archive, files)
	script := `#!/bin/sh
case "$*" in
"-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*--require-hashes*)
	` + before + `
	echo "$*" >> ` + log + `
	while [ $# -gt 0 ] && [ "$1" != --dest ]; do shift; done
	[ $# = 0 ] || cp ` + archive + ` "$2/" ;;
esac
`
	if err := os.WriteFile(filepath.Join(folder, "python3"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":/usr/bin:/bin")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(folder, "cache"))
	return func() int {
		text, _ := os.ReadFile(log)
		return strings.Count(string(text), "\n")
	}
}

func writeZip(t testing.TB, name string, files map[string]string) {
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
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
}
