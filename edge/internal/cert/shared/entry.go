package shared

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/cert/storage"
)

// entry is what is shared as one: the parts of a certificate, or a value alone, such as the key of an account. Its id is the key of
// the certificate's folder, or that of the value.
type entry struct {
	Kept  time.Time         `json:"kept"`  // since when, at the host that got it
	Parts map[string][]byte `json:"parts"` // by the last element of their keys

	leaf *x509.Certificate // of a certificate
}

const maxEntry = 1 << 20 // bytes, encoded: a chain is at most 64 KiB

// idOf returns the id of the entry that a key belongs to. What belongs to a local CA, of which every host has its own, is not shared,
// and neither is what is kept besides certificates and accounts.
func idOf(key string) (id string, ok bool) {
	if site, _, ok := storage.SiteOf(key); ok {
		return site, isSite(site)
	}
	return key, strings.HasPrefix(key, "acme/") && strings.Count(key, "/") == 2
}

// isEntry reports whether id is that of an entry, and no part of one.
func isEntry(id string) bool {
	of, ok := idOf(id)
	return ok && of == id || isSite(id)
}

// isSite reports whether id is the folder of a certificate that is shared.
func isSite(id string) bool {
	issuer, ok := strings.CutPrefix(id, "certificates/")
	return ok && strings.Count(issuer, "/") == 1 && !strings.HasPrefix(issuer, storage.LocalPrefix)
}

// newEntry looks at what is kept: only what is whole is shared.
func newEntry(id string, parts map[string][]byte, kept time.Time) (*entry, error) {
	e := &entry{Kept: kept.UTC().Truncate(time.Millisecond), Parts: parts}
	name := path.Base(id)
	if !isSite(id) {
		if block, _ := pem.Decode(parts[name]); block == nil || len(parts) != 1 {
			return nil, fmt.Errorf("%s is no PEM", id)
		}
		return e, nil
	}
	for part := range parts {
		if site, _, ok := storage.SiteOf(path.Join(id, part)); !ok || site != id {
			return nil, fmt.Errorf("%.100q is no part of a certificate", part)
		}
	}
	pair, err := tls.X509KeyPair(bytes.TrimSpace(parts[name+".crt"]), parts[name+".key"])
	if err != nil {
		return nil, err
	}
	if about, ok := parts[name+".json"]; ok && !json.Valid(about) {
		return nil, errors.New("the description of the certificate is damaged")
	}
	e.leaf = pair.Leaf
	return e, nil
}

func (e *entry) encode() ([]byte, error) {
	value, err := json.Marshal(e)
	if err == nil && len(value) > maxEntry {
		err = fmt.Errorf("%d KiB; at most %d are shared", len(value)>>10, maxEntry>>10)
	}
	return value, err
}

func decodeEntry(id string, value []byte) (*entry, error) {
	var e entry
	if len(value) > maxEntry {
		return nil, fmt.Errorf("more than %d KiB", maxEntry>>10)
	}
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, fmt.Errorf("no entry: %w", err)
	}
	return newEntry(id, e.Parts, e.Kept)
}

// digest tells entries with different parts apart. It may be seen by all who see the store: an entry has a private key in it, and can't
// be guessed.
func digest(parts map[string][]byte) string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		for _, b := range [][]byte{[]byte(name), parts[name]} {
			_ = binary.Write(sum, binary.BigEndian, uint64(len(b)))
			sum.Write(b)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// beats reports whether e, which is kept here, takes the place of what the store has: a certificate that the CA gave later, by the
// CA's clock. Of two that begin at one time it is e if the store has not had it yet.
func (e *entry) beats(theirs *entry, owed bool) bool {
	if e.leaf == nil || theirs.leaf == nil {
		return false
	}
	c := e.leaf.NotBefore.Compare(theirs.leaf.NotBefore)
	return c > 0 || c == 0 && owed
}

// expires is when the store may forget the entry: long after its certificate has ended. Nil: never.
func (e *entry) expires() any {
	if e.leaf == nil {
		return nil
	}
	return e.leaf.NotAfter.AddDate(0, 1, 0)
}

// over reports whether the entry is of no use to anybody any more.
func (e *entry) over(now time.Time) bool { return e.leaf != nil && now.After(e.leaf.NotAfter) }
