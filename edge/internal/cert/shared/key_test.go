package shared

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
)

func (h *host) fetch() {
	h.t.Helper()
	if err := h.Fetch(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// tickets is what the hosts have written as their ticket keys.
func (h *host) tickets() (value string, err error) {
	_, err = h.Value(Tickets).Read(h.t.Context(), func(b []byte) error {
		value = string(b)
		return nil
	})
	return value, err
}

func TestAHostWithAnotherKeyServesItsFilesAndOverwritesNothing(t *testing.T) {
	s := storetest.NewMemory()
	a, b := newHost(t, s, oneKey), newHost(t, s, anotherKey)
	a.fetch()
	a.put(-10)
	before := document(t, s, site)
	for range 2 {
		if err := b.Fetch(t.Context()); !errors.Is(err, errWrongKey) {
			t.Fatal(err)
		}
	}
	own := b.put(0)
	if after := document(t, s, site); !b.has(own) || !bytes.Equal(after.Bytes("sealed"), before.Bytes("sealed")) {
		t.Error("what can't be opened was overwritten, or its own certificate is gone")
	}
	if _, err := b.tickets(); err == nil {
		t.Error("ticket keys can be read")
	}
	if err := b.PutAnswer(t.Context(), Answer{"http-01/t", nil}); !errors.Is(err, errWrongKey) {
		t.Error(err)
	}
	if !strings.Contains(b.Problem(), "store.key") || a.Problem() != "" {
		t.Errorf("%q, %q", b.Problem(), a.Problem())
	}
	if n := strings.Count(b.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}

func TestTheFirstHostMakesAKeyWhenNoneIsConfigured(t *testing.T) {
	s := storetest.NewMemory()
	a, b := newHost(t, s, nil), newHost(t, s, nil)
	a.fetch()
	cert := a.put(0)
	b.fetch()
	b.fetch()
	if !b.has(cert) {
		t.Error("the other host can't read what the first has stored")
	}
	for _, h := range []*host{a, b} {
		if n := strings.Count(h.log.String(), "Set store.key"); n != 1 {
			t.Errorf("it was warned %d times", n)
		}
	}
}

// A host is given a key after one was made: everything is sealed with it, the other is gone, and hosts that have not been given it say so.
func TestAKeyThatIsConfiguredTakesThePlaceOfTheOneThatWasMade(t *testing.T) {
	s := storetest.NewMemory()
	before := newHost(t, s, nil)
	before.fetch()
	cert := before.put(0)
	if err := before.Value(Tickets).Swap(t.Context(), "", []byte("keys")); err != nil {
		t.Fatal(err)
	}
	now := newHost(t, s, oneKey)
	now.fetch()
	if !now.has(cert) {
		t.Error("what was stored is lost")
	}
	if value, err := now.tickets(); err != nil || value != "keys" {
		t.Error(value, err)
	}
	d, err := s.Get(t.Context(), keys, storeID)
	if err != nil || d["key"] != nil {
		t.Error("the key that was made is in the store still:", err)
	}
	if err := before.Fetch(t.Context()); !errors.Is(err, errNoKey) || !strings.Contains(before.Problem(), "store.key") {
		t.Error(err, before.Problem())
	}
	again := newHost(t, s, oneKey)
	again.fetch()
	if !again.has(cert) {
		t.Error("after a restart it can't be opened")
	}
}

// Who may write to the database but has not the key must not have hosts seal what he has made up.
func TestAKeyThatIsPutIntoTheStoreLaterIsNotBelieved(t *testing.T) {
	s, strangers := storetest.NewMemory(), storetest.NewMemory()
	a := newHost(t, s, oneKey)
	a.fetch()
	stranger := newHost(t, strangers, nil)
	stranger.fetch()
	if err := stranger.Value(Tickets).Swap(t.Context(), "", []byte("the stranger's")); err != nil {
		t.Fatal(err)
	}
	for collection, id := range map[string]string{keys: storeID, certificates: Tickets} {
		d, err := strangers.Get(t.Context(), collection, id)
		if err == nil {
			_, err = s.Apply(t.Context(), store.Put{Collection: collection, Document: d})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fetch(t.Context()); !errors.Is(err, errWrongKey) {
		t.Error(err)
	}
	if value, err := a.tickets(); err == nil {
		t.Errorf("the host believes in %q", value)
	}
}

func TestTheKeyThatWasMadeMayBeConfigured(t *testing.T) {
	s := storetest.NewMemory()
	before := newHost(t, s, nil)
	before.fetch()
	cert := before.put(0)
	d, err := s.Get(t.Context(), keys, storeID)
	if err != nil {
		t.Fatal(err)
	}
	now := newHost(t, s, d.Bytes("key"))
	now.fetch()
	d, err = s.Get(t.Context(), keys, storeID)
	if err != nil || d["key"] != nil || !now.has(cert) {
		t.Error(d, err)
	}
}

func TestADocumentThatWasTamperedWithIsNeitherBelievedNorOverwritten(t *testing.T) {
	const other = "certificates/ca.test-dir/b.test"
	for what, tamper := range map[string]func(d store.Document) []byte{
		"a bit": func(d store.Document) []byte {
			b := bytes.Clone(d.Bytes("sealed"))
			b[20] ^= 1
			return b
		},
		"another's":       func(d store.Document) []byte { return sealedFor(t, other, d) },
		"nothing":         func(store.Document) []byte { return []byte{} },
		"a later version": func(d store.Document) []byte { return append([]byte{9}, d.Bytes("sealed")[1:]...) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storetest.NewMemory()
				a, b := newHost(t, s, oneKey).run(), newHost(t, s, oneKey).run()
				cert := a.put(-50)
				synctest.Wait()
				sealed := tamper(document(t, s, site))
				change := store.Change{Set: store.Document{"sealed": sealed, "digest": "x"}}
				if _, err := s.Apply(t.Context(), store.Update{Collection: certificates, Filter: store.ID(site), Change: change, Must: 1}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !a.has(cert) || !b.has(cert) {
					t.Error("a host lost its copy")
				}
				if !strings.Contains(a.Problem(), site) || !strings.Contains(b.Problem(), site) {
					t.Errorf("nobody says so: %q", a.Problem())
				}
				time.Sleep(5 * pollInterval)
				if n := strings.Count(a.log.String(), "level=ERROR"); n != 1 {
					t.Errorf("it was said %d times", n)
				}
				next := a.put(0)
				if !a.has(next) || !bytes.Equal(document(t, s, site).Bytes("sealed"), sealed) {
					t.Error("it was overwritten, or the host has no new certificate")
				}
				if _, err := s.Apply(t.Context(), store.Delete{Collection: certificates, Filter: store.ID(site)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * pollInterval)
				if a.Problem() != "" || !b.has(next) {
					t.Errorf("removing it does not help: %q", a.Problem())
				}
			})
		})
	}
}

// sealedFor is what a host stored for another name.
func sealedFor(t *testing.T, id string, d store.Document) []byte {
	t.Helper()
	by, err := newSeal(oneKey)
	if err != nil {
		t.Fatal(err)
	}
	value, err := by.open(certificates, d.ID(), d.Bytes("sealed"))
	if err != nil {
		t.Fatal(err)
	}
	return by.close(certificates, id, value)
}

func FuzzEntriesAreReadStrictly(f *testing.F) {
	e, err := newEntry(site, certificateParts(f, "a.test", 0), time.Now())
	if err != nil {
		f.Fatal(err)
	}
	value, err := e.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte(`{"parts":{"../x":"AA=="}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := decodeEntry(site, value)
		if err != nil {
			return
		}
		again, err := e.encode()
		if err != nil || e.leaf == nil {
			t.Fatal(err)
		}
		if back, err := decodeEntry(site, again); err != nil || digest(back.Parts) != digest(e.Parts) {
			t.Error(err)
		}
	})
}

func FuzzSealedValues(f *testing.F) {
	by, err := newSeal(oneKey)
	if err != nil {
		f.Fatal(err)
	}
	good := by.close(certificates, site, []byte("value"))
	f.Add(good)
	f.Add([]byte{sealVersion})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		value, err := by.open(certificates, site, sealed)
		if (err == nil) != bytes.Equal(sealed, good) {
			t.Errorf("%q, %v", value, err)
		}
		if _, err := by.open(challenges, site, sealed); err == nil {
			t.Error("it opens elsewhere")
		}
	})
}

func TestTicketKeysThatCannotBeOpenedAreTold(t *testing.T) {
	s := storetest.NewMemory()
	a := newHost(t, s, oneKey)
	a.fetch()
	bad := store.Document{"id": Tickets, "digest": "x", "sealed": []byte("bad")}
	if _, err := s.Apply(t.Context(), store.Put{Collection: certificates, Document: bad}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := a.tickets(); err == nil {
			t.Error("they were opened")
		}
		a.fetch()
	}
	if n := strings.Count(a.log.String(), "level=ERROR"); n != 1 || !strings.Contains(a.Problem(), Tickets) {
		t.Errorf("said %d times, %q", n, a.Problem())
	}
	if _, err := s.Apply(t.Context(), store.Delete{Collection: certificates, Filter: store.ID(Tickets)}); err != nil {
		t.Fatal(err)
	}
	if value, err := a.tickets(); err != nil || value != "" || a.Problem() != "" {
		t.Error(value, err, a.Problem())
	}
}
