package shared

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/edge/internal/cert/childtest"
	"github.com/onehost/edge/edge/internal/cert/storage"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"
)

var replicaSet mongodbtest.Shared

func TestMain(m *testing.M) {
	if childtest.Role() == "hold a lock until killed" {
		holdALock()
	}
	goleak.VerifyTestMain(replicaSet.Around(m))
}

// uriOf returns where a database for this test is.
func uriOf(t *testing.T) string {
	t.Helper()
	set := replicaSet.Set(t)
	host, options, _ := strings.Cut(set.URI(), "/?")
	return host + "/" + set.Database(t) + "?" + options
}

func openMongoDB(uri string) (*mongodb.Store, error) {
	return mongodb.Open(mongodb.Options{URI: uri, Log: slog.New(slog.DiscardHandler)})
}

func onMongoDB(t *testing.T, uri string) store.Store {
	t.Helper()
	s, err := openMongoDB(uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (h *host) follows() *host {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Run(ctx)
	}()
	h.t.Cleanup(func() {
		cancel()
		<-ended
	})
	h.await("connected")
	return h
}

func (h *host) await(change string) {
	h.t.Helper()
	select {
	case got := <-h.changes:
		if got != change {
			h.t.Errorf("%s, want %s", got, change)
		}
	case <-time.After(30 * time.Second):
		h.t.Fatalf("no %s", change)
	}
}

func TestHostsShareAReplicaSet(t *testing.T) {
	uri := uriOf(t)
	a, b := newHost(t, onMongoDB(t, uri), nil).follows(), newHost(t, onMongoDB(t, uri), nil).follows()
	cert := a.put(-10)
	b.await(site)
	next := b.put(0)
	a.await(site)
	if b.has(cert) || !a.has(next) {
		t.Error("not both have the newest")
	}
	if err := a.Value(Tickets).Swap(t.Context(), "", []byte("keys")); err != nil {
		t.Fatal(err)
	}
	b.await(Tickets)
	answer := Answer{"http-01/token", []byte("answer")}
	if err := a.PutAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Answers(t.Context(), []string{"http-01/other", answer.ID}); err != nil || len(got) != 1 || string(got[answer.ID]) != "answer" {
		t.Error(got, err)
	}
	if err := a.RemoveAnswer(t.Context(), answer); err != nil {
		t.Error(err)
	}
	if got, err := b.Answers(t.Context(), []string{answer.ID}); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	keyed := newHost(t, onMongoDB(t, uri), oneKey)
	keyed.fetch()
	if value, err := keyed.tickets(); err != nil || value != "keys" || !keyed.has(next) {
		t.Error("not sealed anew:", err)
	}
}

// removals are what the command in a Problem does.
var removals = regexp.MustCompile(`p\.(\w+)\.delete(?:One|Many)\(\{(?:_id: "([^"]+)")?\}\)`)

// obey does what a Problem says is to be done.
func obey(t *testing.T, uri, problem string) {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	address, _ := url.Parse(uri)
	if !strings.Contains(problem, `p = db.getSiblingDB(db.getName() + "_private")`) {
		t.Fatal("not in the private database:", problem)
	}
	private := client.Database(strings.TrimPrefix(address.Path, "/") + "_private")
	for _, removal := range removals.FindAllStringSubmatch(problem, -1) {
		condition := bson.M{}
		if removal[2] != "" {
			condition["_id"] = removal[2]
		}
		done, err := private.Collection(removal[1]).DeleteMany(t.Context(), condition)
		if err != nil || done.DeletedCount == 0 && removal[1] != challenges {
			t.Fatalf("%q removes %+v, %v", removal[0], done, err)
		}
	}
}

func TestWhatAttentionSaysIsToBeDoneHelps(t *testing.T) {
	uri := uriOf(t)
	s := onMongoDB(t, uri)
	a, b := newHost(t, s, oneKey), newHost(t, s, oneKey)
	a.fetch()
	cert := a.put(0)
	b.fetch()
	change := store.Change{Set: store.Document{"sealed": []byte("bad"), "digest": "x"}}
	if _, err := s.Apply(t.Context(), store.Update{Collection: certificates, Filter: store.ID(site), Change: change, Must: 1}); err != nil {
		t.Fatal(err)
	}
	b.fetch()
	obey(t, uri, b.Problem())
	b.fetch()
	if b.Problem() != "" || len(document(t, s, site).Bytes("sealed")) < 100 {
		t.Error("a document that can't be opened:", b.Problem())
	}

	c, d := newHost(t, s, anotherKey), newHost(t, s, anotherKey) // all hosts have a new key
	for _, h := range []*host{c, d} {
		if err := h.Fetch(t.Context()); err == nil {
			t.Error("the new key is the old one")
		}
	}
	c.put(-10) // of the files that a host had
	obey(t, uri, c.Problem())
	for _, h := range []*host{c, d} {
		h.fetch()
	}
	if c.Problem() != "" || d.Problem() != "" || d.has(nil) || d.has(cert) {
		t.Error("a new key:", c.Problem(), d.Problem())
	}
}

// A document may be put there by who has no key, and its id into a shell by who has.
func TestACommandIsOnlySaidOfAPlainID(t *testing.T) {
	s := newHost(t, storetest.NewMemory(), oneKey)
	s.noteOpened("certificates/ca/a';reboot;'", errUnopened)
	if said := s.Problem(); said == "" || strings.Contains(said, "mongosh") {
		t.Error(said)
	}
}

// holdALock is a host that is killed while it holds a lock.
func holdALock() {
	s, err := openMongoDB(os.Getenv("EDGE_TEST_URI"))
	if err == nil {
		var files *storage.Storage
		if files, err = storage.Open("certificates"); err == nil {
			h := New(Options{Store: s, Key: oneKey, Files: files, Log: slog.New(slog.DiscardHandler), Changed: func(string) {}, Connected: func(context.Context) {}})
			err = h.Lock(context.Background(), lockName)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	select {}
}

func TestTheLockOfAHostThatWasKilledIsFreeWhenItsTimeHasPassed(t *testing.T) {
	uri := uriOf(t)
	cmd := childtest.Command(t, "hold a lock until killed", t.TempDir())
	cmd.Env = append(cmd.Env, "EDGE_TEST_URI="+uri)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("locked\n"))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "locked\n" {
		t.Fatalf("%q, %v", said, err)
	}
	h := newHost(t, onMongoDB(t, uri), oneKey)
	if ok, err := h.TryLock(t.Context(), lockName); ok || err != nil {
		t.Fatal("it is held twice:", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*leaseTime)
	defer cancel()
	if err := h.Lock(ctx, lockName); err != nil {
		t.Fatal(err)
	}
	t.Logf("it was free after %v", time.Since(began))
	if h.held[lockName].Lease == nil {
		t.Error("it is this host's alone")
	}
	if err := h.Unlock(t.Context(), lockName); err != nil {
		t.Error(err)
	}
}
