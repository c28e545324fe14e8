// Package mongodbtest runs a real MongoDB for tests: replica sets of mongod processes on 127.0.0.1 that end with the test, or with its
// process however that ends. Only tests import it.
//
// Most tests of a package share a set of one member, which starts when the first of them asks, and have a database each:
//
//	var shared mongodbtest.Shared
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Around(m)) }
//
//	func TestKeeps(t *testing.T) {
//		set := shared.Set(t)
//		open(mongodbtest.In(t, set.URI(), set.Database(t)))
//	}
//
// A test that kills members, or needs users or TLS, starts a set for itself:
//
//	set := mongodbtest.Start(t, mongodbtest.Options{Members: 3})
//	set.Primary(t).Kill(t)
//	next := set.Primary(t)
//
// The replica set that EDGE_TEST_MONGODB_URI names serves as the shared one; tests that start their own are skipped then. Else mongod is
// what PATH has, and else what is fetched, once for each user: see Mongod. Without any the tests fail, unless EDGE_TEST_NO_MONGODB is 1.
package mongodbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	uriVariable = "EDGE_TEST_MONGODB_URI"
	noVariable  = "EDGE_TEST_NO_MONGODB"

	startWithin = time.Minute // on a busy machine; two seconds are usual
	endWithin   = 20 * time.Second

	setName       = "rs0"
	adminName     = "admin"
	adminPassword = "of this test only"
)

// Options say what is unlike a set of one member that anybody may do anything with.
type Options struct {
	Members int  // 1 to 7 of them, all with a vote and all electable; 0 means 1
	Auth    bool // users are asked for; URI logs in as one who may do all (role root)
	TLS     bool // the only way in; see Set.TLS
}

// Set is a replica set. Its methods can be called by several goroutines at once.
type Set struct {
	members []*Member
	uri     string // of a set that runs elsewhere, "" for one of ours
	auth    bool
	tls     *TLS
}

// Start starts a set that ends with the test. When it returns, all members are in step: any of them can be killed and another elected.
// Primaries are elected about two seconds after one is gone. TTL indexes are swept every second, once a primary holds.
func Start(t testing.TB, options Options) *Set {
	t.Helper()
	mongod := forOwnProcesses(t)
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	set, err := start(ctx, mongod, t.TempDir(), options)
	t.Cleanup(func() { set.end(t) })
	if err != nil {
		t.Fatalf("starting a replica set: %v", err)
	}
	return set
}

// StartStandalone starts a mongod that is in no replica set: it has no transactions and no change streams.
func StartStandalone(t testing.TB) *Member {
	t.Helper()
	mongod := forOwnProcesses(t)
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	set, folder := &Set{}, t.TempDir()
	t.Cleanup(func() { set.end(t) }) // before the folder goes
	if err := set.add(mongod, folder, nil); err != nil {
		t.Fatal(err)
	}
	m := set.members[0]
	if err := m.start(ctx); err != nil {
		t.Fatalf("starting a mongod: %v", err)
	}
	return m
}

// forOwnProcesses returns the program to start, or skips the test, or fails it.
func forOwnProcesses(t testing.TB) string {
	t.Helper()
	skipIfUnwanted(t)
	if os.Getenv(uriVariable) != "" {
		t.Skip("SKIPPED: this test starts and kills its own mongod, which it can't do with the one of " + uriVariable)
	}
	mongod, err := Mongod(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return mongod
}

func skipIfUnwanted(t testing.TB) {
	t.Helper()
	if os.Getenv(noVariable) == "1" {
		t.Skip("SKIPPED: this test needs a MongoDB, and " + noVariable + " is 1")
	}
}

// start returns a set that is to be ended even when there is an error.
func start(ctx context.Context, mongod, folder string, options Options) (*Set, error) {
	set := &Set{auth: options.Auth}
	args := []string{"--replSet", setName, "--oplogSize", "64"}
	if options.Auth {
		keys := filepath.Join(folder, "keys")
		if err := os.WriteFile(keys, []byte(rand.Text()), 0o600); err != nil {
			return set, err
		}
		args = append(args, "--auth", "--keyFile", keys)
	}
	if options.TLS {
		var err error
		if set.tls, err = makeTLS(folder); err != nil {
			return set, err
		}
		args = append(args, set.tls.args()...)
	}
	for i := range max(options.Members, 1) {
		if err := set.add(mongod, filepath.Join(folder, fmt.Sprint("member", i)), args); err != nil {
			return set, err
		}
	}
	return set, set.form(ctx)
}

// add makes a member that doesn't run yet.
func (s *Set) add(mongod, folder string, args []string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	port, release, err := holdPort()
	if err != nil {
		return err
	}
	s.members = append(s.members, &Member{set: s, mongod: mongod, folder: folder, port: port, releasePort: release, args: args})
	return nil
}

// end kills what runs. What the members logged is shown when the test failed.
func (s *Set) end(t testing.TB) {
	s.close()
	if !t.Failed() {
		return
	}
	for _, m := range s.members {
		t.Logf("the end of what the mongod at %s logged:\n%s", m.Addr(), endOfLog(m.logFile()))
	}
}

func (s *Set) close() {
	for _, m := range s.members {
		m.close()
	}
}

// URI is where the set is, with the credentials of who may do all when users are asked for. It names no database.
func (s *Set) URI() string {
	switch {
	case s.uri != "":
		return s.uri
	case s.auth:
		return s.compose(adminUser(), "", url.Values{"authSource": {"admin"}})
	default:
		return s.compose(nil, "", nil)
	}
}

// URIFor is URI for another user, who is known in that database. It needs a set with users.
func (s *Set) URIFor(user, password, database string) string {
	return s.compose(url.UserPassword(user, password), "", url.Values{"authSource": {database}})
}

// X509URI is URI for the user TLS.ClientSubject, who logs in with a certificate once somebody created it in $external. It needs a set with TLS.
func (s *Set) X509URI() string {
	return s.compose(nil, "", url.Values{"authMechanism": {"MONGODB-X509"}, "authSource": {"$external"}, "tlsCertificateKeyFile": {s.tls.ClientFile}})
}

// TLS is nil for a set without.
func (s *Set) TLS() *TLS { return s.tls }

// compose makes the URI of the set, or of one address in it.
func (s *Set) compose(user *url.Userinfo, address string, query url.Values) string {
	if query == nil {
		query = url.Values{}
	}
	if address != "" {
		query.Set("directConnection", "true")
	} else {
		query.Set("replicaSet", setName)
		var all []string
		for _, m := range s.members {
			all = append(all, m.Addr())
		}
		address = strings.Join(all, ",")
	}
	if s.tls != nil {
		query.Set("tls", "true")
		query.Set("tlsCAFile", s.tls.CAFile)
	}
	if user != nil {
		address = user.String() + "@" + address
	}
	return "mongodb://" + address + "/?" + query.Encode()
}

// Database returns the name of a database that nobody else has. It is dropped when the test ends.
func (s *Set) Database(t testing.TB) string {
	t.Helper()
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	name := "test_" + hex.EncodeToString(random)
	t.Cleanup(func() {
		if err := s.drop(name); err != nil {
			t.Errorf("dropping the database of this test: %v", err)
		}
	})
	return name
}

// In returns the URI of a set with a database in it.
func In(t testing.TB, uri, database string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatalf("the URI of the set: %v", err)
	}
	u.Path = "/" + database
	return u.String()
}

func adminUser() *url.Userinfo { return url.UserPassword(adminName, adminPassword) }

// drop spares itself the work in a set that is about to end: nobody else is there, and it may have lost its primary.
func (s *Set) drop(name string) (err error) {
	if len(s.members) > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	client, err := connect(s.URI())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Disconnect(ctx)) }()
	return client.Database(name).Drop(ctx)
}

// Members are all, running or not; none for a shared set, which no test may hurt.
func (s *Set) Members() []*Member { return s.members }
