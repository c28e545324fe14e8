package shared

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

const (
	site    = "certificates/ca.test-dir/a.test"
	account = "acme/ca.test-dir/account.key"
)

var (
	oneKey     = bytes.Repeat([]byte{1}, KeySize)
	anotherKey = bytes.Repeat([]byte{2}, KeySize)
)

// host is one of those that share a store.
type host struct {
	*Storage
	t       testing.TB
	log     *bytes.Buffer
	changes chan string
	stop    context.CancelFunc
}

// newHost returns a host with files of its own. Nothing runs there yet.
func newHost(t testing.TB, s store.Store, key []byte) *host {
	t.Helper()
	return newHostIn(t, t.TempDir(), s, key)
}

func newHostIn(t testing.TB, dir string, s store.Store, key []byte) *host {
	t.Helper()
	files, err := storage.Open(filepath.Join(dir, "certificates"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	h := &host{t: t, log: new(bytes.Buffer), changes: make(chan string, 1000), stop: func() {}}
	h.Storage = New(Options{
		Store: s, Key: key, Files: files, Log: slog.New(slog.NewTextHandler(h.log, nil)),
		Changed: func(id string) { h.changes <- id }, Connected: func(context.Context) { h.changes <- "connected" },
	})
	return h
}

// run has the host follow the store until the test ends, inside of a synctest bubble.
func (h *host) run() *host {
	var ctx context.Context
	ctx, h.stop = context.WithCancel(h.t.Context())
	h.t.Cleanup(h.stop)
	go h.Run(ctx)
	synctest.Wait()
	return h
}

// put stores a certificate of a.test as certmagic does, that begins days from now, and returns it.
func (h *host) put(days int) (certPEM []byte) {
	h.t.Helper()
	parts := certificateParts(h.t, "a.test", days)
	for _, ext := range []string{".key", ".crt", ".json"} {
		if err := h.Store(h.t.Context(), site+"/a.test"+ext, parts["a.test"+ext]); err != nil {
			h.t.Fatal(err)
		}
	}
	return parts["a.test.crt"]
}

func certificateParts(t testing.TB, name string, days int) map[string][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begins := time.Now().AddDate(0, 0, days)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: begins, NotAfter: begins.AddDate(0, 0, 90)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		name + ".crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), name + ".json": []byte(`{"sans":["` + name + `"]}`),
		name + ".key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
}

func (h *host) has(certPEM []byte) bool {
	got, err := h.Load(h.t.Context(), site+"/a.test.crt")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.t.Error(err)
	}
	return bytes.Equal(got, certPEM)
}

func document(t *testing.T, s store.Store, id string) store.Document {
	t.Helper()
	d, err := s.Get(t.Context(), certificates, id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatOneHostStoresTheOthersHaveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a, b := newHost(t, s, oneKey).run(), newHost(t, s, oneKey).run()
		cert := a.put(0)
		synctest.Wait()
		if !b.has(cert) {
			t.Error("the other host has it not")
		}
		if got := <-b.changes; got != "connected" {
			t.Error(got)
		}
		if got := <-b.changes; got != site {
			t.Error(got)
		}
		mine, since, err := a.Site(site)
		theirs, copied, err2 := b.Site(site)
		if err != nil || err2 != nil || digest(mine) != digest(theirs) || since.Sub(copied).Abs() > time.Millisecond {
			t.Error("not the same parts, or since another time:", since, copied, err, err2)
		}
		if n := len(a.changes); n != 1 {
			t.Errorf("the host that stored it was told of %d changes", n)
		}
		late := newHost(t, s, oneKey)
		if err := late.Fetch(t.Context()); err != nil || !late.has(cert) {
			t.Error("who starts later has it not:", err)
		}
	})
}

func TestTheFeedIsOnlyTheQuickWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a, b := newHost(t, s, oneKey).run(), newHost(t, deaf{s}, oneKey).run()
		cert := a.put(0)
		synctest.Wait()
		if b.has(cert) {
			t.Fatal("it heard")
		}
		time.Sleep(retryAtMost + time.Second)
		if !b.has(cert) {
			t.Error("what was not told was not asked for")
		}
	})
}

// deaf is a store without feeds.
type deaf struct{ store.Store }

func (deaf) Watch(context.Context, string, string) (store.Feed, error) {
	return nil, fmt.Errorf("no feeds here: %w", fault.Unavailable)
}

// A feed may outlive the time without its store, and tell nothing of it.
func TestWhatWasOwedIsMadeUpForThoughTheFeedWentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a := newHost(t, silent{s}, oneKey).run()
		s.SetUnavailable(true)
		a.put(0)
		s.SetUnavailable(false)
		time.Sleep(2 * retryAfter)
		document(t, s, site)
	})
}

// silent is a store whose feeds tell nothing.
type silent struct{ store.Store }

func (silent) Watch(context.Context, string, string) (store.Feed, error) { return silence{}, nil }

type silence struct{}

func (silence) Close() error { return nil }
func (silence) Next(ctx context.Context) (store.Event, error) {
	<-ctx.Done()
	return store.Event{}, ctx.Err()
}

func TestAllGoesOnWhileTheStoreIsAwayAndIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		s.SetUnavailable(true)
		a, b := newHost(t, s, oneKey).run(), newHost(t, s, oneKey).run()
		began := time.Now()
		if err := a.Lock(t.Context(), certLock+"a.test"); err != nil {
			t.Fatal(err)
		}
		cert := a.put(0)
		if err := a.Unlock(t.Context(), certLock+"a.test"); err != nil || !a.has(cert) {
			t.Fatal(err)
		}
		if took := time.Since(began); took > callTimeout {
			t.Errorf("it took %v", took)
		}
		s.SetUnavailable(false)
		time.Sleep(retryAtMost + time.Second)
		if !b.has(cert) {
			t.Error("what was stored meanwhile is not made up for")
		}
		s.SetUnavailable(true)
		if a.Problem() != "" || !b.has(cert) {
			t.Error("a store that is away is a problem:", a.Problem())
		}
	})
}

func TestOfHostsThatWereApartTheNewestCertificateWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		a, b := newHost(t, s, oneKey).run(), newHost(t, s, oneKey).run()
		a.put(-60)
		synctest.Wait()
		s.SetUnavailable(true)
		newest := b.put(-1)
		a.put(-2) // though later by the clock of a host
		s.SetUnavailable(false)
		time.Sleep(2 * retryAtMost)
		if !a.has(newest) || !b.has(newest) {
			t.Error("not both have the newest:", a.has(newest), b.has(newest))
		}
		b.put(0)
		if again := b.put(0); !a.settledOn(again) {
			t.Error("one that begins at the same time as the one before does not take its place")
		}
	})
}

func (h *host) settledOn(cert []byte) bool {
	synctest.Wait()
	if err := h.Fetch(h.t.Context()); err != nil {
		h.t.Error(err)
	}
	return h.has(cert)
}

func TestOfTwoAccountsTheStoresIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory()
		s.SetUnavailable(true)
		a, b := newHost(t, s, oneKey), newHost(t, s, oneKey)
		for i, h := range []*host{a, b} {
			if err := h.Store(t.Context(), account, pem.EncodeToMemory(&pem.Block{Type: "KEY", Bytes: []byte{byte(i)}})); err != nil {
				t.Fatal(err)
			}
		}
		s.SetUnavailable(false)
		b.run()
		a.run()
		mine, err := a.Load(t.Context(), account)
		theirs, err2 := b.Load(t.Context(), account)
		if err != nil || err2 != nil || !bytes.Equal(mine, theirs) {
			t.Errorf("%s, %v; %s, %v", mine, err, theirs, err2)
		}
		if err := a.Store(t.Context(), account, pem.EncodeToMemory(&pem.Block{Type: "KEY", Bytes: []byte("new")})); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Load(t.Context(), account); err != nil || !bytes.Equal(got, theirs) {
			t.Error("a host that did not look made a second account:", err)
		}
	})
}

func TestWhatIsThisHostsAloneOrDamagedIsNotShared(t *testing.T) {
	s := storetest.NewMemory()
	a := newHost(t, s, oneKey)
	if err := a.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string][]byte{
		"rw_test_1": []byte("x"), "certificates/local-0011/a.test/a.test.json": []byte("{}"), "damaged/" + site + "/a.test.crt": []byte("x"),
		site + "/a.test.json": []byte("{}"), account: []byte("nonsense"),
	} {
		if err := a.Store(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Count(t.Context(), certificates, nil); err != nil || n != 0 {
		t.Errorf("%d documents, %v", n, err)
	}
}

// TestAHostHealsFromTheStore deletes a certificate as is done with one whose files are damaged.
func TestAHostHealsFromTheStore(t *testing.T) {
	s := storetest.NewMemory()
	a := newHost(t, s, oneKey)
	if err := a.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	cert := a.put(0)
	if err := a.Delete(t.Context(), site); err != nil || a.has(cert) {
		t.Fatal(err)
	}
	if err := a.Lock(t.Context(), certLock+"a.test"); err != nil || !a.has(cert) {
		t.Error("under the lock it is not back:", err)
	}
	if err := a.Unlock(t.Context(), certLock+"a.test"); err != nil {
		t.Error(err)
	}
}

// filled returns a store in which a host has put n certificates.
func filled(t testing.TB, n int) store.Store {
	t.Helper()
	s := storetest.NewMemory()
	a := newHost(t, s, oneKey)
	if err := a.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	by, err := a.sealer()
	if err != nil {
		t.Fatal(err)
	}
	var writes []store.Write
	for i := range n {
		name := fmt.Sprintf("host%d.test", i)
		id := "certificates/ca/" + name
		e, err := newEntry(id, certificateParts(t, name, 0), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		value, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, store.Insert{Collection: certificates, Document: store.Document{"id": id, "name": path.Base(id), "digest": digest(e.Parts), "sealed": by.close(certificates, id, value)}})
	}
	if _, err := s.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMoreThanOnePortionIsFetched(t *testing.T) {
	a := newHost(t, filled(t, portion+50), oneKey)
	if err := a.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids, err := a.ids(t.Context()); err != nil || len(ids) != portion+50 || len(a.changes) != len(ids) {
		t.Error(len(ids), len(a.changes), err)
	}
}

// BenchmarkFetch is a host that begins with nothing where others have a thousand certificates. The store in memory takes a part of the time.
func BenchmarkFetch(b *testing.B) {
	const n = 1000
	s := filled(b, n)
	for b.Loop() {
		h := newHost(b, s, oneKey)
		if err := h.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/certificate")
}

func TestNothingSecretIsReadableInTheStore(t *testing.T) {
	s := storetest.NewMemory()
	a := newHost(t, s, oneKey)
	if err := a.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.put(0)
	if err := a.PutAnswer(t.Context(), Answer{"http-01/t", []byte("the answer to all")}); err != nil {
		t.Fatal(err)
	}
	if err := a.Value(Tickets).Swap(t.Context(), "", []byte("the keys of sessions")); err != nil {
		t.Fatal(err)
	}
	described, err := s.Collections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, c := range described {
		if !c.Private {
			t.Errorf("%s is not private", c.Name)
		}
		found, err := s.Find(t.Context(), store.Query{Collection: c.Name, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			for _, v := range d {
				fmt.Fprintf(&all, "%s %v\n", v, v)
			}
		}
	}
	for _, secret := range []string{"PRIVATE KEY", "the answer", "the keys", string(oneKey)} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q can be read there", secret)
		}
	}
}
