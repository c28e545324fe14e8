package storage

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

const site = "certificates/ca.example/www.example.com"

func part(ext string) string { return site + "/www.example.com" + ext }

func open(t *testing.T, dir string) *Storage {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// storeCertificate stores the parts as certmagic does: when one fails, those before are taken back.
func storeCertificate(ctx context.Context, s *Storage, version string, size int) error {
	var done []string
	for _, ext := range []string{keyPart, certPart, lastPart} {
		value := bytes.Repeat([]byte(version), size)
		if err := s.Store(ctx, part(ext), value); err != nil {
			for _, key := range slices.Backward(done) {
				_ = s.Delete(ctx, key)
			}
			return err
		}
		done = append(done, part(ext))
	}
	return nil
}

// certificate returns the version of the certificate that is stored, and fails when its parts are of several.
func certificate(t *testing.T, s certmagic.Storage) string {
	t.Helper()
	var versions []string
	for _, ext := range []string{keyPart, certPart, lastPart} {
		data, err := s.Load(t.Context(), part(ext))
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, string(data[:1]))
	}
	if versions = slices.Compact(versions); len(versions) != 1 {
		t.Fatalf("the parts are of different certificates: %q", versions)
	}
	return versions[0]
}

func TestFilesAreWhereCertmagicsOwnStorageHasThem(t *testing.T) {
	dir := t.TempDir()
	theirs, ours := &certmagic.FileStorage{Path: dir}, open(t, dir)
	for _, ext := range []string{keyPart, certPart, lastPart} {
		if err := theirs.Store(t.Context(), part(ext), []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	if got := certificate(t, ours); got != "1" {
		t.Errorf("certificate %s", got)
	}
	if err := errors.Join(ours.Store(t.Context(), part(keyPart)+".compromised", []byte("old")), storeCertificate(t.Context(), ours, "2", 3)); err != nil {
		t.Fatal(err)
	}
	if got := certificate(t, theirs); got != "2" {
		t.Errorf("certificate %s", got)
	}
	for _, prefix := range []string{"", "certificates", site} {
		for _, recursive := range []bool{true, false} {
			a, err := ours.List(t.Context(), prefix, recursive)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := theirs.List(t.Context(), prefix, recursive)
			b = slices.DeleteFunc(b, func(key string) bool { return strings.HasPrefix(key, fresh) })
			if !slices.Equal(a, b) || len(a) == 0 {
				t.Errorf("List(%q, %v): %q, certmagic's own %q", prefix, recursive, a, b)
			}
		}
	}
	if data, err := ours.Load(t.Context(), part(keyPart)+".compromised"); string(data) != "old" {
		t.Errorf("what else was in the folder: %q, %v", data, err)
	}
	for _, name := range []string{site, part(keyPart)} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestWhatIsMissingIsSoSaid(t *testing.T) {
	s := open(t, t.TempDir())
	_, loadErr := s.Load(t.Context(), "certificates/x")
	_, statErr := s.Stat(t.Context(), "certificates/x")
	_, listErr := s.List(t.Context(), "certificates", false)
	for _, err := range []error{loadErr, statErr, listErr} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), s.dir) {
			t.Errorf("%v", err)
		}
	}
	if s.Exists(t.Context(), "certificates/x") {
		t.Error("exists")
	}
	if err := s.Delete(t.Context(), "certificates/x"); err != nil {
		t.Error(err)
	}
}

func TestACertificateIsReplacedWithAllItsParts(t *testing.T) {
	s := open(t, t.TempDir())
	if err := storeCertificate(t.Context(), s, "1", 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Store(t.Context(), part(keyPart), []byte("2")); err != nil {
		t.Fatal(err)
	}
	if got := certificate(t, s); got != "1" {
		t.Errorf("in between the certificate is %s", got)
	}
	if err := errors.Join(s.Delete(t.Context(), part(keyPart)), s.Delete(t.Context(), part(certPart)+".old")); err != nil {
		t.Fatal(err)
	}
	if got := certificate(t, s); got != "1" {
		t.Errorf("taken back, the certificate is %s", got)
	}
	if err := s.Store(t.Context(), part(lastPart), []byte("1 described anew")); err != nil {
		t.Fatal(err)
	}
	if got := certificate(t, s); got != "1" {
		t.Errorf("described anew, the certificate is %s", got)
	}
	if err := s.Delete(t.Context(), part(keyPart)); err != nil || s.Exists(t.Context(), part(keyPart)) {
		t.Errorf("a key that is in its place was not deleted (%v)", err)
	}
}

func TestKeysStayInTheStorage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "inner"))
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600), os.Symlink("../secret", filepath.Join(dir, "inner", "link"))); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/", ".new/x", "a/.b", "a\x00b", "a\nb", strings.Repeat("a/", 600) + "a", "link"} {
		if _, err := s.Load(t.Context(), key); err == nil {
			t.Errorf("Load(%q)", key)
		}
		if key == "link" {
			continue // may be replaced
		}
		if s.Store(t.Context(), key, nil) == nil || s.Delete(t.Context(), key) == nil || s.Exists(t.Context(), key) {
			t.Errorf("%q is taken for a key", key)
		}
	}
	if err := s.Store(t.Context(), "large", make([]byte, maxValue+1)); err == nil {
		t.Error("stored more than it would load")
	}
}

func TestForeignThingsAreErrorsAndNeverHang(t *testing.T) {
	for name, put := range map[string]func(file string) error{
		"a folder": func(file string) error { return os.Mkdir(file, 0o700) },
		"a pipe":   func(file string) error { return syscall.Mkfifo(file, 0o600) },
		"a link":   func(file string) error { return os.Symlink("/dev/zero", file) },
		"a loop":   func(file string) error { return os.Symlink(filepath.Base(file), file) },
		"too large": func(file string) error {
			return errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, maxValue+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			if err := storeCertificate(t.Context(), s, "1", 10); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(s.dir, part(certPart))
			if err := errors.Join(os.Remove(file), put(file)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load(t.Context(), part(certPart)); err == nil || !strings.Contains(err.Error(), part(certPart)) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Load: %v", err)
			}
			if !s.Exists(t.Context(), part(certPart)) && name != "a link" && name != "a loop" {
				t.Error("counts as missing")
			}
			if keys, err := s.List(t.Context(), "", true); err != nil || len(keys) != 6 {
				t.Errorf("List: %q, %v", keys, err)
			}
			if err := storeCertificate(t.Context(), s, "2", 10); err != nil {
				t.Fatal(err)
			}
			if got := certificate(t, s); got != "2" {
				t.Errorf("the certificate is %s", got)
			}
		})
	}
}

func TestLeftoversGoWhenTheyAreOld(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{"old": 2 * freshAge, "young": 0} {
		file := filepath.Join(dir, fresh, name, "www.example.com.key")
		at := time.Now().Add(-age)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600), os.Chtimes(filepath.Dir(file), at, at)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	entries, err := os.ReadDir(filepath.Join(dir, fresh))
	if err != nil || len(entries) != 1 || entries[0].Name() != "young" {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestStoringLeavesNothingBehind(t *testing.T) {
	s := open(t, t.TempDir())
	for _, version := range []string{"1", "2", "3"} {
		if err := errors.Join(storeCertificate(t.Context(), s, version, 10), s.Store(t.Context(), "acme/ca/account.key", []byte(version))); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(s.dir, fresh)); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if len(s.parts) != 0 {
		t.Errorf("%d parts are kept in memory", len(s.parts))
	}
}

func TestACertificateThatIsPutIsAllThatIsThere(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"))
	const site = "certificates/ca/a.test"
	if _, _, err := s.Site(site); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	kept := time.Now().Add(-24 * time.Hour).Truncate(time.Millisecond)
	for _, parts := range []map[string][]byte{
		{"a.test.crt": []byte("c1"), "a.test.key": []byte("k1"), "a.test.json": []byte("j1")},
		{"a.test.crt": []byte("c2"), "a.test.key": []byte("k2")},
	} {
		if err := s.PutSites([]Kept{{site, parts, kept}}); err != nil {
			t.Fatal(err)
		}
		got, since, err := s.Site(site)
		if err != nil || !maps.EqualFunc(got, parts, bytes.Equal) || !since.Equal(kept) {
			t.Errorf("%q since %v, %v", got, since, err)
		}
	}
	for _, name := range []string{"b.test.crt", "../a.test.crt", "a.test.txt"} {
		if s.PutSites([]Kept{{site, map[string][]byte{name: nil}, kept}}) == nil {
			t.Errorf("%s is a part", name)
		}
	}
}
