package strapi

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

// project is the folder of a Strapi project: testdata with its database unpacked.
func project(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(filepath.Join("testdata", "strapi.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	text, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, ".tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(folder, ".tmp", "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(file, text)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return folder
}

// source is an open Strapi until the test ends.
func source(t *testing.T, path string) *Source {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// all are the records of a source.
func all(t *testing.T, s *Source) []Record {
	t.Helper()
	var records []Record
	for r, err := range s.Records(patient(t)) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// patient is a context that gives a call the time that a busy machine takes.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// onEveryStore runs a test on both engines, with the collections of a source's types.
func onEveryStore(t *testing.T, test func(t *testing.T, s *Source, to store.Store)) {
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := enginetest.Opened(t, address(t))
			s := source(t, project(t))
			set, _, _, err := s.Types(patient(t))
			if err != nil {
				t.Fatal(err)
			}
			ensure := []store.Collection{changes.Collection()}
			for _, one := range set.Types() {
				ensure = append(ensure, rows.Collection(one))
			}
			if err := to.Ensure(patient(t), ensure...); err != nil {
				t.Fatal(err)
			}
			test(t, s, to)
		})
	}
}

// pass is an import of records into a store; it notes what was reserved.
type pass struct {
	*Importer
	reserved map[string]int64
	hashes   map[string][]string // by user
}

func begin(t *testing.T, s *Source, to store.Store) pass {
	t.Helper()
	set, _, _, err := s.Types(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	p := pass{reserved: make(map[string]int64), hashes: make(map[string][]string)}
	p.Importer = NewImporter(Options{
		Store: to, Set: set, History: time.Hour,
		Reserve: func(_ context.Context, t *schema.Type, n int64) error {
			p.reserved[t.Name] = n
			return nil
		},
		SetHash: func(_ context.Context, user, hash string) error {
			p.hashes[user] = append(p.hashes[user], hash)
			return nil
		},
	})
	return p
}

// take imports records, and counts the outcomes by type.
func (p pass) take(t *testing.T, records []Record) map[string]map[Outcome]int {
	t.Helper()
	counts := make(map[string]map[Outcome]int)
	for len(records) > 0 {
		n := min(MaxBatch, len(records))
		results, err := p.Import(patient(t), records[:n])
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Why != "" {
				t.Log(r.Why)
			}
			uid := records[i].Type
			if counts[uid] == nil {
				counts[uid] = make(map[Outcome]int)
			}
			counts[uid][r.Outcome]++
		}
		records = records[n:]
	}
	return counts
}

// rowOf is the row of an entry.
func rowOf(t *testing.T, to store.Store, set *schema.Set, r Record) store.Document {
	t.Helper()
	one := set.UID(r.Type)
	d, err := to.Get(patient(t), rows.Name(one), rows.RowID(one, r.Document, r.Locale, r.Status == rows.Draft))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
