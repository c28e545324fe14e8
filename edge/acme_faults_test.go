package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

// TestKilledInAnOrder kills a real process at each step of its first order, and starts another one on what is left.
func TestKilledInAnOrder(t *testing.T) {
	t.Parallel()
	for _, kind := range []acmetest.Kind{
		acmetest.KindNewAccount, acmetest.KindNewOrder, acmetest.KindChallenge, acmetest.KindFinalize, acmetest.KindCertificate,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Start(t, acmetest.Options{Strict: true})
			reached := make(chan struct{}, 10)
			ca.FailNext(1, kind, func(pebble http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					pebble.ServeHTTP(w, r) // the CA has done its part, and the answer may get lost
					reached <- struct{}{}
					<-r.Context().Done()
				})
			})
			r := &running{t: t, file: filepath.Join(t.TempDir(), "edge.yaml"), head: strings.Replace(acmeHead, "metrics: ", `admin: "unix:@", metrics: `, 1)}
			r.head = strings.Replace(r.head, "unix:@", "unix:"+shortDir(t)+"/admin.sock", 1)
			r.write(answering("a.test"), of(ca)...)
			edge, _ := process(t, r.file)
			select {
			case <-reached:
			case <-time.After(20 * time.Second):
				t.Fatal("the order never got so far")
			}
			if err := edge.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = edge.Wait()

			s := r.again()
			s.roots = ca.Roots(t)
			s.log.wait(t, 1, issued, "host=a.test")
			if _, err := s.leaf("a.test"); err != nil {
				t.Error(err)
			}
			created := 0
			for _, asked := range ca.Requests(acmetest.KindNewAccount) {
				if asked.Status == http.StatusCreated {
					created++
				}
			}
			if orders := ca.OrdersTaken("a.test"); created > 1 || orders > 2 {
				t.Errorf("%d accounts, %d orders", created, orders)
			}
		})
	}
}

// shortDir is a folder whose name is short enough for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestAFullDisk(t *testing.T) {
	t.Parallel()
	disk := shortDir(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("SKIPPED: a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	ca := acmetest.Start(t, acmetest.Options{Validity: 20 * time.Second, NoRenewalInfo: true})
	head := strings.Replace(acmeHead, "data_dir: ./data", "data_dir: DISK/data", 1)
	s := serveACME(t, ca, head, answering("a.test"), "DISK", disk)
	s.log.wait(t, 1, issued, "host=a.test")
	before, err := s.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	filler := fill(t, disk)
	orders := ca.Orders("a.test")
	s.log.wait(t, 1, "no certificate", "host=a.test", "no space left on device")
	if leaf, err := s.leaf("a.test"); err != nil || !leaf.Equal(before) {
		t.Errorf("while the disk is full: %v", err)
	}
	if n := ca.Orders("a.test"); n != orders {
		t.Errorf("%d orders were sent whose certificates could not be kept", n-orders)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.Reload(t.Context()) // the operator says that the cause is mended
	s.log.wait(t, 2, issued, "host=a.test")
	for _, asked := range ca.Requests(acmetest.KindNewAccount) {
		if asked.Status == http.StatusCreated && asked.At.After(before.NotBefore.Add(time.Second)) {
			t.Error("the account was lost")
		}
	}
}

// fill fills a disk to the last byte, and returns the file that does.
func fill(t *testing.T, disk string) string {
	t.Helper()
	name := filepath.Join(disk, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		if n, err := f.Write(make([]byte, size)); err != nil || n < size {
			size /= 2
		}
	}
	return name
}

func TestWhatIsKeptIsDamaged(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	names := []string{"cut.test", "empty.test", "nokey.test", "otherkey.test", "foreign.test", "good.test"}
	s := serveACME(t, ca, acmeHead, answering(names...))
	for _, name := range names {
		s.log.wait(t, 1, issued, "host="+name)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(filepath.Dir(s.file), "data", "certificates")
	file := func(name, ending string) string {
		found, err := filepath.Glob(filepath.Join(kept, "certificates", "*", name, name+ending))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return found[0]
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file("cut.test", ".crt"), read(file("cut.test", ".crt"))[:100])
	write(file("empty.test", ".key"), nil)
	os.Remove(file("nokey.test", ".key"))
	write(file("otherkey.test", ".key"), read(file("good.test", ".key")))
	write(filepath.Join(filepath.Dir(file("foreign.test", ".crt")), "notes.txt"), []byte("whose is this?"))
	os.Mkdir(filepath.Join(kept, "certificates", "what is this"), 0o700)

	again := s.again()
	for _, name := range names[:4] {
		again.log.wait(t, 1, "damaged", "host="+name)
		again.log.wait(t, 1, issued, "host="+name)
	}
	for _, name := range names {
		want := 1
		if slices.Contains(names[:4], name) {
			want = 2
		}
		if _, err := again.leaf(name); err != nil || ca.OrdersTaken(name) != want {
			t.Errorf("%s: %d orders, want %d; %v", name, ca.OrdersTaken(name), want, err)
		}
	}
	if aside, _ := filepath.Glob(filepath.Join(kept, "damaged", "certificates", "*", "cut.test", "cut.test.key")); len(aside) != 1 {
		t.Error("what was damaged was not kept")
	}
}

func TestADamagedAccountKeyIsNotOverwritten(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true, Validity: 15 * time.Second, NoRenewalInfo: true})
	s := serveACME(t, ca, acmeHead, answering("a.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(filepath.Dir(s.file), "data", "certificates", "acme", "*", "account.key"))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	good, err := os.ReadFile(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys[0], []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := s.again()
	again.log.wait(t, 1, "no certificate", "account.key", "put it back from a backup")
	if now, _ := os.ReadFile(keys[0]); string(now) != "nonsense" {
		t.Error("it was overwritten")
	}
	if err := os.WriteFile(keys[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	again.Reload(t.Context())
	again.log.wait(t, 1, issued, "host=a.test")
	for _, asked := range ca.Requests(acmetest.KindNewAccount)[1:] {
		if asked.Status == http.StatusCreated {
			t.Error("another account was registered")
		}
	}
}

func TestAnOperatorAsksForACertificate(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	s := serveACME(t, ca, acmeHead, answering("a.test", "b.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	before, err := s.leaf("a.test")
	if err != nil {
		t.Fatal(err)
	}
	socket := "--admin=" + s.server.admin.Addr().String()
	if status, out, errOut := command(t, "certs", "renew", "a.test", socket); status != 0 || !strings.Contains(out, "a.test has a new certificate") {
		t.Errorf("%d %s%s", status, out, errOut)
	}
	if leaf, err := s.leaf("a.test"); err != nil || leaf.Equal(before) {
		t.Errorf("it is served under the old one: %v", err)
	}
	ca.FailNext(1, acmetest.KindNewOrder, acmetest.Problem(http.StatusForbidden, "unauthorized", "not on a Monday", 0))
	if status, _, errOut := command(t, "certs", "renew", "a.test", socket); status != 1 || !strings.Contains(errOut, "not on a Monday") {
		t.Errorf("%d %s", status, errOut)
	}
	if status, _, errOut := command(t, "certs", "renew", "c.test", socket); status != 1 || !strings.Contains(errOut, "no host with a certificate") {
		t.Errorf("%d %s", status, errOut)
	}
}

// A loop that forgets its certificates, as with a data directory that is wiped at every start, is stopped before the CA does.
func TestSelfHarmIsRefused(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	s := serveACME(t, ca, acmeHead, answering("a.test"))
	s.log.wait(t, 1, issued, "host=a.test")
	socket := "--admin=" + s.server.admin.Addr().String()
	status, errOut := 0, ""
	for range 20 {
		if status, _, errOut = command(t, "certs", "renew", "a.test", socket); status != 0 {
			break
		}
	}
	if n := ca.OrdersTaken("a.test"); status != 1 || n > 10 || !strings.Contains(errOut, "exactly a.test") {
		t.Errorf("%d orders, and nothing is said: %s", n, errOut)
	}
}
