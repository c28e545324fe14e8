package move

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/sqlite"
	"go.uber.org/goleak"
)

// childOf is the variable that makes this test binary a process of its own, which copies between the two stores that it names.
const childOf = "EDGE_TEST_MOVE_STORES"

var shared mongodbtest.Shared

func TestMain(m *testing.M) {
	if from, to, ok := strings.Cut(os.Getenv(childOf), " "); ok {
		fmt.Fprintln(os.Stderr, copyBetween(from, to))
		os.Exit(1)
	}
	goleak.VerifyTestMain(shared.Around(m))
}

// copyBetween copies, and says a line for every batch.
func copyBetween(fromAddress, toAddress string) error {
	ctx := context.Background()
	from, err := openAt(ctx, fromAddress)
	if err != nil {
		return err
	}
	to, err := openAt(ctx, toAddress)
	if err != nil {
		return err
	}
	_, err = inSmallPages(ctx, from, to, func(p Progress) { fmt.Println(p.Collection, p.Verifying, p.Done) })
	return err
}

func TestACopyThatIsKilledGoesOnAndIsWhole(t *testing.T) {
	t.Run("sqlite to mongodb", func(t *testing.T) {
		t.Parallel()
		killAndGoOn(t, file(t), mongoDB(t))
	})
	t.Run("mongodb to sqlite", func(t *testing.T) {
		t.Parallel()
		killAndGoOn(t, mongoDB(t), file(t))
	})
}

func killAndGoOn(t *testing.T, fromAddress, toAddress string) {
	from, to := opened(t, fromAddress), opened(t, toAddress)
	fill(t, from, 500)
	for _, lines := range []int{3, 1, 5, 6} {
		copyUntilKilled(t, fromAddress, toAddress, lines)
	}
	before, err := to.Collections(t.Context())
	must(t, err)
	must(t, to.Ensure(t.Context(), before...))
	begun, err := to.Count(t.Context(), "entries", nil)
	must(t, err)
	first := -1
	report, err := Copy(t.Context(), from, to, func(p Progress) {
		if first < 0 {
			first = p.Done
		}
	})
	must(t, err)
	if begun == 0 || begun == 500 || first != begun {
		t.Errorf("%d documents were there after four processes were killed, and the last one began at %d", begun, first)
	}
	if report.Collections[0].Documents != 500 {
		t.Errorf("%+v", report)
	}
	same(t, from, to)
}

// copyUntilKilled has a process copy until it has said so many lines, and a little longer.
func copyUntilKilled(t *testing.T, from, to string, lines int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childOf+"="+from+" "+to)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	said := bufio.NewScanner(out)
	for range lines {
		said.Scan()
	}
	must(t, child.Process.Kill())
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the process was not killed: %v", err)
	}
}

// mongoDB is the address of a new database.
func mongoDB(t *testing.T) string {
	set := shared.Set(t)
	return mongodbtest.In(t, set.URI(), set.Database(t))
}

// file is the address of a new store in a file.
func file(t *testing.T) string { return filepath.Join(t.TempDir(), "edge.db") }

func openAt(ctx context.Context, address string) (store.Store, error) {
	log := slog.New(slog.DiscardHandler)
	if strings.HasPrefix(address, "mongodb://") {
		return mongodb.Open(mongodb.Options{URI: address, Log: log})
	}
	return sqlite.Open(ctx, address, log)
}

func opened(t *testing.T, address string) store.Store {
	s, err := openAt(t.Context(), address)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}
