package cert

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/edge/internal/cert/shared"
)

// localStreet is hosts on one store whose certificates the local CA signs.
func localStreet(t *testing.T) *street { return &street{t: t} }

// join opens a host that serves names.
func (s *street) join(with store.Store, names ...string) *house {
	s.t.Helper()
	h := &house{t: s.t, dir: s.t.TempDir(), log: new(lines)}
	s.houses = append(s.houses, h)
	h.start(with, names...)
	return h
}

func (h *house) start(with store.Store, names ...string) {
	h.t.Helper()
	hosts := make(map[string]config.Host)
	for _, name := range names {
		hosts[name] = config.Host{}
	}
	h.open(Sharing{Store: with, Key: bytes.Repeat([]byte{7}, 32)})
	h.serve(localOnly(hosts))
}

func (h *house) stop() {
	h.end()
	h.Close()
}

// root is what `edge trust` reads.
func (h *house) root() *x509.Certificate {
	h.t.Helper()
	r, _, err := ReadLocalCA(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// trusts reports whether a visitor who trusts a root alone trusts what the host serves under a name.
func (h *house) trusts(r *x509.Certificate, name string) bool {
	h.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(r)
	leaf := h.leaf(name)
	if leaf == nil {
		return false
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots})
	return err == nil
}

// oneRoot waits until all hosts have one root, by which all names are signed: those that the i-th host serves, or the last ones.
func (s *street) oneRoot(names ...[]string) *x509.Certificate {
	s.t.Helper()
	until(s.t, func() bool {
		r, _, err := ReadLocalCA(s.houses[0].dir)
		if err != nil {
			return false // in the middle of taking another's place
		}
		for i, h := range s.houses {
			if other, _, err := ReadLocalCA(h.dir); err != nil || !other.Equal(r) {
				return false
			}
			for _, name := range names[min(i, len(names)-1)] {
				if !h.trusts(r, name) {
					return false
				}
			}
		}
		return true
	})
	return s.houses[0].root()
}

func TestHostsOnOneStoreHaveOneLocalCA(t *testing.T) {
	t.Parallel()
	m := storetest.NewMemory()
	s := localStreet(t)
	a, b := s.join(m, "localhost", "shop.example.org"), s.join(m, "localhost", "shop.example.org")
	if r := a.root(); !b.root().Equal(r) || !a.trusts(r, "shop.example.org") || !b.trusts(r, "shop.example.org") {
		t.Error("not one root from the first plan on")
	}
	before := a.root()
	c := s.join(m, "localhost", "new.example.org") // a name that the root is not good for
	after := s.oneRoot([]string{"localhost", "shop.example.org"}, []string{"localhost", "shop.example.org"}, []string{"localhost", "new.example.org"})
	if after.Equal(before) || !(&root{Certificate: after}).permits([]string{"shop.example.org", "new.example.org"}) {
		t.Error("not a root for all:", after.PermittedDNSDomains)
	}
	c.stop()
	c.start(m, "localhost")
	if !c.root().Equal(after) {
		t.Error("another root after a restart with fewer names")
	}
}

func TestHostsThatBeganWithoutTheStoreEndWithOneLocalCA(t *testing.T) {
	t.Parallel()
	for _, differ := range []bool{false, true} {
		m := storetest.NewMemory()
		m.SetUnavailable(true)
		s := localStreet(t)
		names := [][]string{{"localhost", "a.example.org"}, {"localhost", "a.example.org"}, {"localhost", "a.example.org"}}
		if differ {
			names[1][1], names[2][1] = "b.example.org", "*.c.example.org"
		}
		for i := range names {
			s.join(m, names[i]...)
		}
		names[2][1] = strings.Replace(names[2][1], "*", "any", 1)
		if s.houses[0].root().Equal(s.houses[1].root()) || !s.houses[0].trusts(s.houses[0].root(), "a.example.org") {
			t.Fatal("they share a root without a store, or none signs")
		}
		own := s.houses[0].root()
		m.SetUnavailable(false)
		s.oneRoot(names...)
		roots, _ := filepath.Glob(filepath.Join(s.houses[0].dir, "ca", "root-until-*"))
		if kept := own.Equal(s.houses[0].root()); kept != (len(roots) == 0) {
			t.Error("a root that was replaced is not set aside")
		}
		m.SetUnavailable(true)
		s.oneRoot(names...)
		again := s.houses[1]
		again.stop()
		again.start(m, names[1]...)
		s.oneRoot(names...)
	}
}

func TestHostsOnAReplicaSetHaveOneLocalCA(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	open := func() store.Store {
		one, err := mongodb.Open(mongodb.Options{URI: set.URI(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { one.Close() })
		return one
	}
	s := localStreet(t)
	s.join(open(), "localhost", "a.example.org")
	first := s.houses[0].root()
	s.join(open(), "localhost")
	if !s.houses[1].root().Equal(first) {
		t.Error("not one root")
	}
	s.join(open(), "localhost", "b.example.org")
	if s.oneRoot([]string{"localhost", "a.example.org"}, []string{"localhost"}, []string{"localhost", "b.example.org"}).Equal(first) {
		t.Error("not another root, for all")
	}
}

// dying is a store in which a host ends when it stores the root of the local CA: right before, or right after.
type dying struct {
	store.Store
	after bool
	died  atomic.Bool
}

func (d *dying) Apply(ctx context.Context, writes ...store.Write) ([]int, error) {
	put, ok := writes[0].(store.Insert)
	if !ok || put.Document.ID() != shared.LocalCA {
		return d.Store.Apply(ctx, writes...)
	}
	d.died.Store(true)
	if d.after {
		if _, err := d.Store.Apply(ctx, writes...); err != nil {
			return nil, err
		}
	}
	panic(errDied)
}

var errDied = errors.New("killed")

func TestAHostThatIsKilledWhileItStoresTheLocalCALeavesOneRootOrNone(t *testing.T) {
	for _, after := range []bool{false, true} {
		m := storetest.NewMemory()
		h := &house{t: t, dir: t.TempDir(), log: new(lines)}
		h.open(Sharing{Store: &dying{Store: m, after: after}, Key: bytes.Repeat([]byte{7}, 32)})
		func() {
			defer func() {
				if recover() != errDied {
					t.Error("not killed")
				}
			}()
			_, _ = h.Plan(t.Context(), localOnly(map[string]config.Host{"localhost": {}}))
		}()
		h.Close()
		s := localStreet(t)
		other := s.join(m, "localhost")
		s.houses = append(s.houses, h)
		h.start(m, "localhost")
		if !h.root().Equal(other.root()) {
			t.Error("two roots, after:", after)
		}
	}
}

// A kill may come between any two of the files that a root is kept in.
func TestWhateverIsLeftOfTheFilesOfARootIsAWholeOneOrNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	first, err := newRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.keep(dir); err != nil {
		t.Fatal(err)
	}
	second, err := newRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, rootCertFile), filepath.Join(dir, "aside")); err != nil { // as keep does first
		t.Fatal(err)
	}
	_, keyPEM, err := second.pem()
	if err := errors.Join(err, writeFile(filepath.Join(dir, rootKeyFile), keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	m := storetest.NewMemory()
	h := &house{t: t, dir: filepath.Dir(dir), log: new(lines)}
	h.start(m, "localhost")
	if !h.trusts(h.root(), "localhost") {
		t.Error("nothing is served")
	}
}

func TestALocalCAThatCannotBeUsedIsToldAndNotOverwritten(t *testing.T) {
	t.Parallel()
	m := storetest.NewMemory()
	s := localStreet(t)
	a := s.join(m, "localhost")
	own := a.root()
	bad := store.Document{"id": shared.LocalCA, "digest": "x", "sealed": []byte("bad")}
	if _, err := m.Apply(t.Context(), store.Put{Collection: "certificates", Document: bad}); err != nil {
		t.Fatal(err)
	}
	b := s.join(m, "localhost", "b.example.org")
	for _, h := range s.houses {
		until(t, func() bool { return strings.Contains(strings.Join(h.Attention(), ""), shared.LocalCA) })
		h.ca.agree(t.Context())
	}
	d, err := m.Get(t.Context(), "certificates", shared.LocalCA)
	if err != nil || string(d.Bytes("sealed")) != "bad" {
		t.Error("it was overwritten:", err)
	}
	if !a.root().Equal(own) || !a.trusts(own, "localhost") || !b.trusts(b.root(), "b.example.org") {
		t.Error("a host does not serve under its own")
	}
	if _, err := m.Apply(t.Context(), store.Delete{Collection: "certificates", Filter: store.ID(shared.LocalCA)}); err != nil {
		t.Fatal(err)
	}
	a.ca.agreeSoon()
	b.ca.agreeSoon()
	s.oneRoot([]string{"localhost"}, []string{"localhost", "b.example.org"})
}

// A host whose clock is behind takes the root of the others for one that is not good yet.
func TestALocalCAThatIsNotGoodYetIsToldAndNotOverwritten(t *testing.T) {
	d := &oneDocument{}
	r, err := newRoot(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Certificate = begins(t, r, time.Now().Add(24*time.Hour))
	if d.value, err = r.encode(); err != nil {
		t.Fatal(err)
	}
	ca := newLocalCA(t.TempDir(), slog.New(slog.DiscardHandler))
	ca.shared = d
	if err := ca.open(t.Context(), []string{"localhost"}); err != nil || ca.current.Load().same(r) || d.version != 0 {
		t.Error("taken up, or overwritten:", err)
	}
	if _, _, err := ca.theirs(t.Context()); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Error(err)
	}
}

// begins is the root's certificate with another beginning.
func begins(t *testing.T, r *root, at time.Time) *x509.Certificate {
	t.Helper()
	template := *r.Certificate
	template.NotBefore = at
	der, err := x509.CreateCertificate(nil, &template, &template, r.key.Public(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestOfHostsThatMakeARootAtTheSameTimeOneDoes(t *testing.T) {
	d := &oneDocument{}
	all := make([]*localCA, 4)
	var opening sync.WaitGroup
	for i := range all {
		all[i] = newLocalCA(t.TempDir(), slog.New(slog.DiscardHandler))
		all[i].shared = d
		opening.Go(func() {
			if err := all[i].open(t.Context(), []string{"localhost"}); err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
	for _, ca := range all {
		if !ca.current.Load().same(all[0].current.Load()) {
			t.Error("another root")
		}
	}
	if d.version != 1 {
		t.Errorf("stored %d times", d.version)
	}
}

func FuzzRoots(f *testing.F) {
	r, err := newRoot([]string{"shop.example.org", "192.0.2.1"})
	if err != nil {
		f.Fatal(err)
	}
	value, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(value[:len(value)/2])
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decodeRoot(value)
		if err != nil {
			return
		}
		if again, err := r.encode(); err != nil || !bytes.Equal(again, value) || !r.permits([]string{"localhost"}) {
			t.Error(err)
		}
	})
}
