package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/sqlite"
)

// storeSecret is what no output may hold.
const storeSecret = "hunter2"

// asProcess runs a command line to its end, in a process and a folder of its own, and holds that no secret shows.
func asProcess(t *testing.T, folder string, args ...string) (status int, out, errOut string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	edge := exec.CommandContext(t.Context(), binary, args...)
	edge.Env = append(os.Environ(), edgeProcess+"=1", "EDGE_ADMIN=")
	edge.Dir, edge.Stdout, edge.Stderr = folder, &o, &e
	if err := edge.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if strings.Contains(o.String()+e.String(), storeSecret) {
		t.Errorf("edge %q shows a secret:\n%s%s", args, o.String(), e.String())
	}
	return edge.ProcessState.ExitCode(), o.String(), e.String()
}

// keeping configures a store in a folder of its own and returns the file.
func keeping(t *testing.T, where string) string {
	t.Helper()
	return configure(t, head+"store: "+where+"\n"+oneHost)
}

// furnish makes an embedded store with some documents, of all kinds of values, some of them private, and some of them expiring.
func furnish(t *testing.T, file string, documents int) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	collections := []store.Collection{
		{Name: "things", Indexes: []store.Index{{Fields: []string{"name"}, Unique: true}}},
		{Name: "passing", Private: true, Expire: "until"},
	}
	if err := s.Ensure(t.Context(), collections...); err != nil {
		t.Fatal(err)
	}
	for _, col := range collections {
		var writes []store.Write
		for i := range documents {
			writes = append(writes, store.Insert{Collection: col.Name, Document: store.Document{
				"id": fmt.Sprintf("%06d", i), "name": fmt.Sprintf("ñ\u0000 %d", i), "n": int64(i), "f": 0.1, "yes": true, "bytes": []byte{0, 255}, "none": nil,
				"until": time.Now().Add(time.Hour), "list": []any{"a", int64(1), []any{}, store.Document{"deep": nil}}, "mark": fmt.Sprintf("mark-%06d-mark", i),
			}})
		}
		for some := range slices.Chunk(writes, 1000) {
			if _, err := s.Apply(t.Context(), some...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// copied is what edge store copy says in JSON.
type copied []struct {
	Name              string
	Documents, Differ int
	Bytes             int64
	SHA256            string
	Damaged           bool
}

// copyAs copies, and returns what is said of each collection.
func copyAs(t *testing.T, folder, from, to string) copied {
	t.Helper()
	status, out, errOut := asProcess(t, folder, "store", "copy", from, to, "--json")
	var said copied
	if err := json.Unmarshal([]byte(out), &said); status != exitDone || err != nil {
		t.Fatalf("edge store copy %s %s: %d, %v\n%s%s", from, to, status, err, out, errOut)
	}
	return said
}

func TestStoreCopyThereAndBackHasEqualHashes(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	there := keeping(t, strings.Replace(set.URI(), "/?", "/"+set.Database(t)+"?", 1))
	folder := filepath.Dir(there)
	furnish(t, filepath.Join(folder, "data", "edge.db"), 300)

	out := copyAs(t, folder, "sqlite", there)
	back := copyAs(t, folder, there, "back.db")
	onward := copyAs(t, folder, "back.db", "onward.db")
	if len(out) != 2 || len(back) != 2 || len(onward) != 2 {
		t.Fatalf("%+v\n%+v\n%+v", out, back, onward)
	}
	for i, col := range out {
		if col.Documents != 300 || len(col.SHA256) != 64 || col.Damaged || col.Differ != 0 || back[i] != col || onward[i] != col {
			t.Errorf("%+v, back %+v, onward %+v", col, back[i], onward[i])
		}
	}
	for _, args := range [][]string{{"-c", there}, {"-c", there, "--json"}} {
		if status, out, errOut := asProcess(t, folder, append([]string{"store", "check"}, args...)...); status != exitDone || !strings.Contains(out, "good") {
			t.Errorf("edge store check %q: %d %s%s", args, status, out, errOut)
		}
	}
	if status, _, errOut := asProcess(t, folder, "store", "copy", "back.db", there); status != exitFailed || !strings.Contains(errOut, "empty it first") {
		t.Errorf("onto what is not empty: %d %s", status, errOut)
	}
}

func TestStoreCopyGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	furnish(t, filepath.Join(folder, "from.db"), 5000)
	for _, sent := range []os.Signal{os.Interrupt, os.Kill} {
		errOut := stopCopy(t, folder, sent)
		if sent == os.Interrupt && !strings.Contains(errOut, "the same command goes on from here") {
			t.Errorf("interrupted, it says %s", errOut)
		}
		status, _, errOut := asProcess(t, folder, "store", "copy", "to.db", "further.db")
		if _, err := os.Stat(filepath.Join(folder, "further.db")); status != exitFailed || !strings.Contains(errOut, "not complete") || err == nil {
			t.Errorf("half a copy is copied on: %d %s (%v)", status, errOut, err)
		}
	}
	status, out, errOut := asProcess(t, folder, "store", "copy", "from.db", "to.db")
	if status != exitDone || strings.Count(out, "5000") != 2 {
		t.Errorf("it does not go on: %d %s%s", status, out, errOut)
	}
	if status, _, errOut := asProcess(t, folder, "store", "copy", "from.db", "to.db"); status != exitFailed || !strings.Contains(errOut, "complete copy already") {
		t.Errorf("once more: %d %s", status, errOut)
	}
}

// stopCopy sends a signal to a copy from from.db to to.db, when it has written some of it.
func stopCopy(t *testing.T, folder string, signal os.Signal) string {
	t.Helper()
	size := func() (bytes int64) {
		for _, name := range []string{"to.db", "to.db-wal"} {
			if info, err := os.Stat(filepath.Join(folder, name)); err == nil {
				bytes += info.Size()
			}
		}
		return bytes
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said := new(safeBuffer)
	edge := exec.CommandContext(t.Context(), binary, "store", "copy", "from.db", "to.db")
	edge.Env, edge.Dir, edge.Stderr = append(os.Environ(), edgeProcess+"=1"), folder, said
	before := size()
	if err := edge.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the copy", func() bool { return size() > before+128<<10 })
	edge.Process.Signal(signal)
	if err := edge.Wait(); err == nil {
		t.Fatal("the copy was complete before it was stopped")
	}
	return said.String()
}

func TestStoreCommandsRefuseWhatIsNotMeant(t *testing.T) {
	t.Parallel()
	file := keeping(t, "sqlite")
	folder := filepath.Dir(file)
	furnish(t, filepath.Join(folder, "data", "edge.db"), 1)
	if err := os.Symlink("data/edge.db", filepath.Join(folder, "link.db")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "away.yaml"), []byte(head+"data_dir2: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"check extra", exitUsage, "takes no argument"},
		{"copy sqlite", exitUsage, "FROM and TO"},
		{"copy sqlite to.db more", exitUsage, "FROM and TO"},
		{"copy sqlite sqlite", exitUsage, "both FROM and TO"},
		{"copy sqlite ./data/../data/edge.db", exitUsage, "both FROM and TO"},
		{"copy sqlite link.db", exitUsage, "both FROM and TO"},
		{"copy sqlite edge.yaml", exitUsage, "both FROM and TO"},
		{"copy mongodb://edge:hunter2@127.0.0.1:1/edge mongodb://127.0.0.1:1/edge", exitUsage, "both FROM and TO"},
		{"copy sqlite mongodb", exitUsage, "TO names no store"},
		{"copy sqlite mongodb:/edge:hunter2@127.0.0.1/edge", exitUsage, "TO names no store"},
		{"copy http://edge:hunter2@127.0.0.1/a.db to.db", exitUsage, "FROM names no store"},
		{"copy sqlite away.yaml", exitUsage, "data_dir2"},
		{"copy missing.db to.db", exitFailed, "missing.db"},
		{"copy missing/folder/from.db to.db", exitFailed, "missing/folder"},
		{"copy missing.yaml to.db", exitUsage, "missing.yaml"},
		{"copy sqlite mongodb://edge:hunter2@127.0.0.1:1/admin", exitFailed, "no name of a database"},
		{"copy sqlite mongodb://edge:hun%ter2@127.0.0.1:1/edge", exitFailed, "URI"},
		{"copy mongodb://edge:hunter2@127.0.0.1:1/edge to.db", exitFailed, "127.0.0.1:1"},
	} {
		status, out, errOut := asProcess(t, folder, append([]string{"store"}, strings.Fields(test.args)...)...)
		if status != test.status || !strings.Contains(errOut, test.want) || out != "" {
			t.Errorf("edge store %s: %d %s%s", test.args, status, out, errOut)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 4 {
		t.Errorf("what was refused left something behind: %v %v", entries, err)
	}
}

func TestStoreCheckNeedsNoServerAndFindsADamagedDocument(t *testing.T) {
	t.Parallel()
	file := keeping(t, "sqlite")
	folder := filepath.Dir(file)
	db := filepath.Join(folder, "data", "edge.db")
	if status, _, errOut := asProcess(t, folder, "store", "check"); status != exitFailed || !strings.Contains(errOut, db) {
		t.Errorf("before there is a store: %d %s", status, errOut)
	}
	if _, err := os.Stat(filepath.Dir(db)); err == nil {
		t.Error("looking for damage has made a store")
	}
	furnish(t, db, 50)
	if status, out, errOut := asProcess(t, folder, "store", "check"); status != exitDone || out != "the store is good\n" || errOut != "" {
		t.Errorf("a good one: %d %s%s", status, out, errOut)
	}
	replaceIn(t, db, "mark-000033-mark", "\U0010FFFFz-33-mark-33") // what begins so is a time
	status, out, errOut := asProcess(t, folder, "store", "check")
	if status != exitFailed || out != "" || !strings.Contains(errOut, "000033") {
		t.Errorf("a damaged one: %d %s%s", status, out, errOut)
	}
	status, out, _ = asProcess(t, folder, "store", "check", "--json")
	var said struct {
		Good  bool
		Error string
	}
	if err := json.Unmarshal([]byte(out), &said); status != exitFailed || err != nil || said.Good || !strings.Contains(said.Error, "000033") {
		t.Errorf("in JSON: %d %v %s", status, err, out)
	}
	if status, _, errOut := asProcess(t, folder, "store", "copy", "sqlite", "to.db"); status != exitFailed || !strings.Contains(errOut, "000033") {
		t.Errorf("a damaged document is copied: %d %s", status, errOut)
	}
}

// TestCheckJudgesTheStoreAsRunDoes holds that both say the same of each.
func TestCheckJudgesTheStoreAsRunDoes(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]string{
		"mongo":                                  "sqlite, or a URI",
		"postgres://edge:hunter2@127.0.0.1/edge": "sqlite, or a URI",
		"{uri: sqlite, user: edge}":              "user goes with",
		"{uir: sqlite}":                          `did you mean "uri"?`,
		"\n  uri: mongodb://127.0.0.1:1/edge\n  password: hunter2":                   "password needs user",
		"{uri: mongodb://127.0.0.1:1/edge, user: edge, password: \"${file:/nope}\"}": "/nope",
		"mongodb://edge:hunter2@127.0.0.1:1/edge?authMechanism=FOO":                  "mechanism",
		"mongodb://edge:hunter2@127.0.0.1:1/edge?w=1":                                "w=1",
		"mongodb://edge:hun/ter2@127.0.0.1:1/edge":                                   "password",
	} {
		folder := filepath.Dir(keeping(t, where))
		status, out, judged := asProcess(t, folder, "check")
		if status != exitUsage || out != "" || !strings.Contains(judged, want) {
			t.Errorf("edge check of store: %s: %d %s%s", where, status, out, judged)
		}
		if status, _, refused := asProcess(t, folder, "run"); status != exitUsage || refused != judged {
			t.Errorf("edge run with store: %s: %d %s, and edge check says %s", where, status, refused, judged)
		}
		if _, err := os.Stat(filepath.Join(folder, "data")); err == nil {
			t.Errorf("store: %s is refused, and left a data_dir", where)
		}
	}
}

func TestAServerKeepsItsStoreUntilItIsStartedAgain(t *testing.T) {
	t.Parallel()
	file := keeping(t, "sqlite")
	folder := filepath.Dir(file)
	edge, said := process(t, file)
	if err := os.WriteFile(file, []byte(head+"store:\n  uri: mongodb://127.0.0.1:1/edge\n  user: edge\n  password: hunter2\n"+oneHost), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errOut := asProcess(t, folder, "reload"); status != exitUsage || !strings.Contains(errOut, "store was sqlite") {
		t.Errorf("edge reload: %d %s", status, errOut)
	}
	if status, out, _ := asProcess(t, folder, "status"); status != exitDone || !strings.Contains(out, "restart edge") {
		t.Errorf("edge status: %d %s", status, out)
	}
	edge.Process.Kill()
	edge.Wait()

	db := filepath.Join(folder, "data", "edge.db")
	if err := os.WriteFile(file, []byte(head+oneHost), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errOut := asProcess(t, folder, "store", "check"); status != exitDone {
		t.Errorf("after kill -9: %d %s%s", status, out, errOut)
	}
	process(t, file)
	if status, out, errOut := asProcess(t, folder, "store", "check"); status != exitDone {
		t.Errorf("%s, by the server: %d %s%s", db, status, out, errOut)
	}
	if strings.Contains(said.String(), storeSecret) {
		t.Errorf("the log shows a secret:\n%s", said)
	}
}

func TestAServerWhoseStoreIsAwayServesAndStopsAtOnce(t *testing.T) {
	t.Parallel()
	file := keeping(t, "mongodb://edge:hunter2@127.0.0.1:1/edge")
	folder := filepath.Dir(file)
	edge, said := process(t, file)
	status, out, _ := asProcess(t, folder, "status", "--json")
	var st struct {
		State     string
		Red       bool
		Attention []string
		Store     struct{ Name, Error string }
	}
	if err := json.Unmarshal([]byte(out), &st); status != exitDone || err != nil || st.State != "serving" || !st.Red || len(st.Attention) != 1 || st.Store.Error == "" || st.Store.Name != "mongodb://127.0.0.1:1/edge" {
		t.Errorf("edge status: %d %v %s", status, err, out)
	}
	if status, _, errOut := asProcess(t, folder, "store", "check"); status != exitFailed || !strings.Contains(errOut, "127.0.0.1:1") {
		t.Errorf("edge store check: %d %s", status, errOut)
	}
	began := time.Now()
	edge.Process.Signal(os.Interrupt)
	if err := edge.Wait(); err != nil || time.Since(began) > 4*time.Second { // shutdown says 5s
		t.Errorf("it ended after %v: %v", time.Since(began), err)
	}
	if strings.Contains(said.String(), storeSecret) || !strings.Contains(said.String(), "the store is not ready") {
		t.Errorf("the log:\n%s", said)
	}
}

func TestWhatAPersonHasToMendEndsAStart(t *testing.T) {
	t.Parallel()
	alone := mongodbtest.StartStandalone(t)
	folder := filepath.Dir(keeping(t, "mongodb://"+alone.Addr()+"/edge"))
	for _, args := range [][]string{{"run"}, {"store", "check"}, {"store", "copy", "edge.yaml", "to.db"}} {
		if status, _, errOut := asProcess(t, folder, args...); status != exitFailed || strings.Count(errOut, "rs.initiate") != 1 || strings.Contains(errOut, "served on") {
			t.Errorf("edge %q with a standalone mongod: %d %s", args, status, errOut)
		}
	}
}

// TestStoreInitIsAllThatTwoHostsNeed uses what edge store init prints, as it is printed.
func TestStoreInitIsAllThatTwoHostsNeed(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Auth: true})
	status, printed, errOut := asProcess(t, t.TempDir(), "store", "init", "--admin-uri", set.URI())
	if status != exitDone || errOut != "" {
		t.Fatalf("%d %s", status, errOut)
	}
	_, section, _ := strings.Cut(printed, "\nstore:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	s := storeOf(t, printed)
	for range 2 {
		file := configure(t, head+"store:\n"+section+"\n"+oneHost)
		_, said := process(t, file)
		for _, args := range [][]string{{"status"}, {"status", "--json"}, {"store", "check"}} {
			status, out, errOut := asProcess(t, filepath.Dir(file), args...)
			if status != exitDone || strings.Contains(out, "not ready") || strings.Contains(out+errOut+said.String(), s.Password) || strings.Contains(out+errOut+said.String(), s.Key) {
				t.Errorf("edge %q: %d %s%s\n%s", args, status, out, errOut, said)
			}
		}
	}
	wrong := configure(t, head+"store:\n"+strings.Replace(section, s.Password, storeSecret, 1)+"\n"+oneHost)
	if status, _, errOut := asProcess(t, filepath.Dir(wrong), "run"); status != exitFailed || !strings.Contains(errOut, "does not accept") {
		t.Errorf("with a wrong password: %d %s", status, errOut)
	}
}
