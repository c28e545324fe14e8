package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

const oneHost = `hosts: {a.test: {default: {respond: {body: hello}}}}`

func TestAStoreIsMadeAndSaidToBeReady(t *testing.T) {
	s := serve(t, oneHost)
	if st := s.Status(); st.Store.Name != "sqlite" || !st.Store.Ready || st.Red {
		t.Errorf("%+v", st)
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(s.file), "data", "edge.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	_, out, _ := command(t, "status", "--admin", s.server.admin.Addr().String())
	if !strings.Contains(out, "store") || !strings.Contains(out, "sqlite") {
		t.Errorf("edge status does not name the store:\n%s", out)
	}
	if code, out, errOut := command(t, "store", "check", "--admin", s.server.admin.Addr().String()); code != exitDone || !strings.Contains(out, "good") {
		t.Errorf("edge store check: %d %s %s", code, out, errOut)
	}
}

func TestAReloadDoesNotMoveHouse(t *testing.T) {
	s := serve(t, oneHost)
	s.write("store: mongodb://edge:hunter2@127.0.0.1:1/edge\n" + oneHost)
	outcome, err := s.Reload(t.Context())
	if err != nil || outcome.Applied || len(outcome.Problems) != 1 || !strings.Contains(outcome.Problems[0].Message, "store was sqlite") {
		t.Errorf("%+v, %v", outcome, err)
	}
}

func TestADamagedStoreIsSaidAtTheStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "edge.yaml")
	db := filepath.Join(dir, "data", "edge.db")
	if err := os.MkdirAll(filepath.Dir(db), 0o700); err != nil {
		t.Fatal(err)
	}
	garbage := strings.Repeat("no database\n", 1000)
	for name, text := range map[string]string{file: head + oneHost, db: garbage} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, _, errOut := command(t, "run", "-c", file)
	if code != exitFailed || !strings.Contains(errOut, db) {
		t.Errorf("%d %s", code, errOut)
	}
	if kept, err := os.ReadFile(db); err != nil || string(kept) != garbage {
		t.Errorf("the damaged file was changed (%v)", err)
	}
}

func TestAStandaloneMongoDBIsRefusedWithWhatConvertsIt(t *testing.T) {
	t.Parallel()
	alone := mongodbtest.StartStandalone(t)
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(head+"store: mongodb://"+alone.Addr()+"/edge\n"+oneHost), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := command(t, "run", "-c", file)
	if code != exitFailed || !strings.Contains(errOut, "rs.initiate") {
		t.Errorf("%d %s", code, errOut)
	}
}

// TestTwoEdgesOnOneReplicaSet has two hosts, only one of which the CA can reach, as a load balancer may happen to choose.
func TestTwoEdgesOnOneReplicaSet(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	uri := strings.Replace(set.URI(), "/?", "/"+set.Database(t)+"?", 1)
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	shared := "store: " + uri + "\n"
	first := serveACME(t, ca, acmeHead+shared, answering("a.test"))
	first.log.wait(t, 1, issued, "host=a.test")
	second := serveBelow(t, strings.NewReplacer("127.0.0.1:HTTPS", "127.0.0.1:0", "127.0.0.1:HTTP", "127.0.0.1:0").Replace(acmeHead)+shared, answering("a.test", "b.test"), of(ca)...)
	second.roots = first.roots

	mine, err := first.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := second.leaf("a.test"); err != nil || !theirs.Equal(mine) {
		t.Errorf("the second host does not serve what the first has got: %v", err)
	}
	second.log.wait(t, 1, issued, "host=b.test") // the first one answered the CA
	if n := ca.OrdersTaken("a.test"); n != 1 {
		t.Errorf("%d orders for one name of two hosts", n)
	}
	if st := second.Status(); !st.Store.Ready || strings.Contains(st.Store.Name, "?") {
		t.Errorf("%+v", st.Store)
	}

	set.Primary(t).Kill(t)
	await(t, "the store is said to be away", func() bool { return !first.Status().Store.Ready && first.Status().Red })
	for _, host := range []*running{first, second} {
		if got := fetch(t, host.client("h1"), http.MethodGet, "https://a.test/", ""); got.text != "a.test" {
			t.Errorf("with the store away: %s %s", got.Status, got.text)
		}
	}
	if err := first.stop(); err != nil {
		t.Error(err)
	}
	again := first.again()
	if got := fetch(t, again.client("h1"), http.MethodGet, "https://a.test/", ""); got.text != "a.test" {
		t.Errorf("started with the store away: %s %s", got.Status, got.text)
	}
	set.Members()[0].Restart(t)
	await(t, "the store is used again", func() bool { return again.Status().Store.Ready && second.Status().Store.Ready })
}

func TestHostsWithOneKeySealCookiesWithOneKey(t *testing.T) {
	keyOf := func(key string) string {
		got, err := derivedKey(&config.Config{DataDir: t.TempDir(), Store: config.Store{Key: key}}, "stickiness")
		if err != nil || len(got) != 32 {
			t.Fatal(got, err)
		}
		return string(got)
	}
	one, other := strings.Repeat("a", 32), strings.Repeat("b", 32)
	if keyOf(one) != keyOf(one) || keyOf(one) == keyOf(other) || keyOf(one) == one {
		t.Error("the key is not that of the hosts")
	}
	if keyOf("") == keyOf("") {
		t.Error("hosts without a key have the same")
	}
}
