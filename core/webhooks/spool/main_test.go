package spool

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

func opened(t *testing.T, folder string) *Spool {
	t.Helper()
	s, err := Open(folder, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Spool, line string, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := s.Put(t.Context(), line, []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
}

var errAway = errors.New("away")

// drained is what Drain gives until one of it is called last, which it does not take.
func drained(t *testing.T, s *Spool, last string) (all []string) {
	t.Helper()
	err := s.Drain(t.Context(), func(_ context.Context, line string, record []byte) error {
		if last != "" && string(record) == last {
			return errAway
		}
		all = append(all, line+":"+string(record))
		return nil
	})
	if last == "" && err != nil || last != "" && !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	return all
}

func segments(t *testing.T, folder string) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*"+version))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// change changes the bytes of the first segment.
func change(t *testing.T, folder string, how func(b []byte) []byte) {
	t.Helper()
	path := segments(t, folder)[0]
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, how(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func asideFiles(t *testing.T, folder string) (all []string) {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(folder, asideFolder, "*"))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}

func length(s *Spool) int {
	n, _ := s.Len()
	return n
}
