package mongodbtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is a set of one member, without users or TLS, for all tests of a package that hurt nobody's but their own database. It starts
// when the first of them asks. It is the set of EDGE_TEST_MONGODB_URI where that is set.
type Shared struct {
	tests interface{ Run() int }

	mu     sync.Mutex // guards what follows
	asked  bool
	set    *Set // nil when it could not be started
	folder string
	err    error // why
}

// Around has the set end when the tests have run. The TestMain of the package must run what it returns.
func (s *Shared) Around(tests interface{ Run() int }) *Shared {
	s.tests = tests
	return s
}

// Run runs the tests, for TestMain, and returns the code to exit with.
func (s *Shared) Run() (code int) {
	defer s.close()
	return s.tests.Run()
}

// Set returns the set. Its Members are no test's business, and it has none.
func (s *Shared) Set(t testing.TB) *Set {
	t.Helper()
	skipIfUnwanted(t)
	if uri := os.Getenv(uriVariable); uri != "" {
		return &Set{uri: uri}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tests == nil {
		t.Fatal("nobody would end the shared mongod: TestMain has to run the tests through Shared.Around")
	}
	if !s.asked {
		s.asked = true
		s.err = s.start()
	}
	if s.err != nil {
		t.Fatalf("the MongoDB that this package's tests share: %v", s.err)
	}
	return &Set{uri: s.set.URI()}
}

func (s *Shared) start() error {
	mongod, err := Mongod(context.Background())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	if s.folder, err = os.MkdirTemp("", "mongodbtest-*"); err != nil {
		return err
	}
	if s.set, err = start(ctx, mongod, s.folder, Options{}); err != nil && len(s.set.members) > 0 {
		err = fmt.Errorf("%w\n%s", err, endOfLog(s.set.members[0].logFile()))
	}
	return err
}

func (s *Shared) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set != nil {
		s.set.close()
	}
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}
