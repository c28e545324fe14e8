package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// filled returns the path of a store with documents, which nobody has open.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ensure(t.Context(), store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"n"}}}}); err != nil {
		t.Fatal(err)
	}
	var writes []store.Write
	for i := range 500 {
		writes = append(writes, store.Insert{Collection: "a", Document: store.Document{"id": fmt.Sprint(i), "n": i, "s": strings.Repeat("x", 200)}})
	}
	if _, err = s.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOnlyTheUserMayReadTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "store.db")
	s := open(t, path)
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

func TestClosingLeavesOneFile(t *testing.T) {
	files, err := filepath.Glob(filled(t) + "*")
	if err != nil || len(files) != 1 {
		t.Errorf("%q, %v", files, err)
	}
}

func TestAForeignFileIsRefusedAndLeftAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		change func(path string) error
		want   string
	}{
		"another program's database": {func(path string) error { return change(path, "PRAGMA application_id=7") }, "a database of another program"},
		"tables of somebody else": {func(path string) error {
			return change(path, "PRAGMA application_id=0", "PRAGMA user_version=0")
		}, "a database of another program"},
		"a newer edge's": {func(path string) error { return change(path, fmt.Sprintf("PRAGMA user_version=%d", version+1)) }, "written by a newer edge"},
		"garbage":        {func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("garbage "), 1000), 0o600) }, "is no store"},
		"empty":          {func(path string) error { return os.Truncate(path, 0) }, "is empty"},
		"cut off":        {func(path string) error { return os.Truncate(path, 5000) }, "is damaged"},
		"a folder": {func(path string) error {
			return os.Rename(path, filepath.Join(filepath.Dir(path), "other"))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			if err := test.change(path); err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				if err := os.Mkdir(path, 0o700); err != nil {
					t.Fatal(err)
				}
				test.want = "is a directory"
			}
			before, _ := os.ReadFile(path)
			s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) || fault.CodeOf(err) != "" {
				t.Errorf("%v, want %s", err, test.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file has been changed")
			}
			if left, _ := filepath.Glob(path + "-*"); len(left) > 0 {
				t.Errorf("it has left %q", left)
			}
		})
	}
}

func TestALogWithoutItsFileIsNotMixedWithANewOne(t *testing.T) {
	path := filled(t)
	if err := errors.Join(os.Remove(path), os.WriteFile(path+"-wal", []byte("log"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Error(err)
	}
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestManyMakeTheFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "store.db")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
				return
			}
			_, err = s.Apply(t.Context(), insert("a", fmt.Sprint(i)))
			if fault.CodeOf(err) == fault.Invalid {
				err = s.Ensure(t.Context(), store.Collection{Name: "a"})
			}
			if err = errors.Join(err, s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("there are %v, %v", left, err)
	}
}

func TestWhatRootMakesBelongsToTheOwnerOfTheStore(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root may give files away")
	}
	folder := t.TempDir()
	if err := os.Chown(folder, 12345, 23456); err != nil {
		t.Skip("SKIPPED: this root may not give files away: ", err)
	}
	path := filepath.Join(folder, "store.db")
	owned := func(when string, uid uint32) {
		files, _ := filepath.Glob(path + "*")
		if len(files) != 3 {
			t.Errorf("%s: there are %q", when, files)
		}
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if is := info.Sys().(*syscall.Stat_t); is.Uid != uid || is.Gid != 23456 {
				t.Errorf("%s: %s belongs to %d:%d", when, name, is.Uid, is.Gid)
			}
		}
	}
	s := open(t, path)
	owned("made", 12345)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 54321, 23456); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	owned("opened", 54321)
	if err := s.Ensure(t.Context(), store.Collection{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := s.readers.retire(time.Now()); err != nil { // the last connection removes the log
		t.Fatal(err)
	}
	s.renew()
	if _, err := s.Apply(t.Context(), insert("a", "1")); err != nil {
		t.Fatal(err)
	}
	owned("made anew", 54321)
}

// change carries out statements on a file that nobody else has open.
func change(path string, statements ...string) error {
	c, err := connect(context.Background(), path)
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if err := c.exec(context.Background(), sql); err != nil {
			return err
		}
	}
	return c.close()
}

func TestCheckFindsDamage(t *testing.T) {
	for name, statements := range map[string][]string{
		"a document that is none":     {"UPDATE a SET doc='{\"s\":tru}' WHERE id='7'"},
		"a list where an index is":    {"UPDATE a SET doc='{\"n\":[1]}' WHERE id='7'"},
		"a name that can't be":        {"UPDATE a SET doc='{\"a.b\":1}' WHERE id='7'"},
		"an index that is missing":    {`DROP INDEX "a(n)"`},
		"an index of something else":  {`DROP INDEX "a(n)"`, `CREATE INDEX "a(n)" ON a(id)`},
		"an index that lacks entries": {"PRAGMA writable_schema=ON", `UPDATE sqlite_schema SET sql=replace(sql,'$."n"','$."s"') WHERE name='a(n)'`},
	} {
		path := filled(t)
		if name == "a document that is none" {
			statements = append([]string{`DROP INDEX "a(n)"`}, statements...)
		}
		if err := change(path, statements...); err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		err := s.Check(t.Context())
		if err == nil || fault.CodeOf(err) != "" {
			t.Errorf("%s: Check says %v", name, err)
		}
		_, err = s.Get(t.Context(), "a", "7")
		if bad := name == "a document that is none"; bad != (err != nil) || bad && !strings.Contains(err.Error(), `a: document "7" is damaged`) {
			t.Errorf("%s: Get says %v", name, err)
		}
	}
	if err := open(t, filled(t)).Check(t.Context()); err != nil {
		t.Errorf("a sound file: %v", err)
	}
}

func TestCheckFindsWhatIsWrongWithAListIndexAndEnsureMakesItAnew(t *testing.T) {
	c := store.Collection{Name: "a", Indexes: []store.Index{{Fields: []string{"l"}, List: true}}}
	for name, statement := range map[string]string{
		"no table":              `DROP TABLE "a(l) list"`,
		"no trigger":            `DROP TRIGGER "a(l) list update"`,
		"a value that is gone":  `DELETE FROM "a(l) list" WHERE value='x'`,
		"one that is not there": `INSERT INTO "a(l) list" VALUES('z','1',1)`,
		"one of another kind":   `UPDATE "a(l) list" SET listed=0 WHERE value='y'`,
	} {
		path := t.TempDir() + "/store.db"
		s := open(t, path)
		if err := s.Ensure(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), store.Insert{Collection: "a", Document: store.Document{"id": "1", "l": []any{"x", "y", "x"}}}, store.Insert{Collection: "a", Document: store.Document{"id": "2", "l": "y"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Fatalf("a sound file: %v", err)
		}
		backup := t.TempDir() + "/backup.db"
		if err := s.Backup(t.Context(), backup); err != nil {
			t.Fatal(err)
		}
		if err := open(t, backup).Check(t.Context()); err != nil {
			t.Errorf("a backup: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := change(path, statement); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "a(l) list") {
			t.Errorf("%s: Check says %v", name, err)
		}
		if strings.HasPrefix(name, "no ") {
			if n, err := s.Count(t.Context(), "a", store.Has{Field: "l", Value: "x"}); n != 1 || err != nil {
				t.Errorf("%s: %d %v", name, n, err)
			}
			if err := s.Ensure(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("%s, after Ensure: %v", name, err)
			}
		}
	}
}

func TestCheckNamesEveryDocumentThatIsNone(t *testing.T) {
	path := filled(t)
	// As the damage of a disk would be: the text is changed where it is.
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for _, id := range []string{"7", "8", "499"} {
		text := []byte(fmt.Sprintf(`"n":%s,`, id))
		for at := bytes.Index(raw, text); at >= 0; at = bytes.Index(raw, text) {
			raw[at+3] = '#'
			broken++
		}
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil || broken < 3 {
		t.Fatal(broken, err)
	}
	err = open(t, path).Check(t.Context())
	for _, want := range []string{`a: document "7" is damaged`, `a: document "8" is damaged`, `a: document "499" is damaged`, "check again"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check doesn't say %s: %v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "logic error") {
		t.Error(err)
	}
}

func TestEnsureMakesAnIndexAnewThatSomebodyHasDropped(t *testing.T) {
	path := filled(t)
	if err := change(path, `DROP INDEX "a(n)"`); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	all, err := s.Collections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ensure(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAFlippedByteIsFoundOrDoesNoHarm flips one byte after the other: whatever is called fails with an error that has no code, or
// works; nothing panics, and the file stays.
func TestAFlippedByteIsFoundOrDoesNoHarm(t *testing.T) {
	whole, err := os.ReadFile(filled(t))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	found := 0
	for i := range 40 {
		at := r.IntN(len(whole))
		if i < 20 {
			at = i * 5
		}
		broken := bytes.Clone(whole)
		broken[at] ^= byte(1 + r.IntN(255))
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := use(t, path); err != nil {
			found++
			if code := fault.CodeOf(err); code != "" && code != fault.Invalid && code != fault.NotFound {
				t.Errorf("byte %d: %v", at, err)
			}
		}
	}
	t.Logf("%d of 40 found", found)
	if found < 10 {
		t.Error("so few damages were found")
	}
}

func use(t *testing.T, path string) error {
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Find(t.Context(), store.Query{Collection: "a", Filter: store.Gt("n", 100), Limit: 1000}); err != nil {
		return err
	}
	if _, err := s.Apply(t.Context(), insert("a", "new")); err != nil {
		return err
	}
	return s.Check(t.Context())
}

func TestABackupIsAWholeStoreOfOneMoment(t *testing.T) {
	s := open(t, filled(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		for i := 0; ; i++ {
			if _, err := s.Apply(ctx, insert("a", fmt.Sprintf("x%d", i)), insert("a", fmt.Sprintf("y%d", i))); err != nil {
				done <- i
				return
			}
		}
	}()
	path := filepath.Join(t.TempDir(), "backup.db")
	for range 2 { // the second takes the first one's place
		if err := s.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-done
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	copied := open(t, path)
	n, err := copied.Count(t.Context(), "a", nil)
	if err != nil || n < 500 || n%2 != 0 || copied.Check(t.Context()) != nil {
		t.Errorf("%d documents, %v, %v", n, err, copied.Check(t.Context()))
	}
	if err := s.Backup(t.Context(), s.path); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("onto itself: %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 3 {
		t.Errorf("there are %q", left)
	}
}
