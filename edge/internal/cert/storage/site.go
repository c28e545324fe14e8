package storage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// maxParts bounds what is kept of certificates that are not complete: certmagic stores one's parts in a row.
const maxParts = 10_000

// maxWriting is how many certificates are written at once.
const maxWriting = 8

// Certmagic stores a certificate as a key, a chain and a description, in this order, and takes back the ones before
// when one fails. Were each to replace a file, a full disk would leave a certificate without its key, and kill -9
// another's key. So the first two are kept in memory, and all three take their place with the third.
const (
	keyPart  = ".key"
	certPart = ".crt"
	lastPart = ".json"
)

// SiteOf returns the folder certificates/ISSUER/NAME if key is one of the parts NAME.key, NAME.crt and NAME.json in it, and whether
// it is the one that makes them take their place.
func SiteOf(key string) (site string, last, ok bool) {
	site, ok = siteOf(key)
	return site, path.Ext(key) == lastPart, ok
}

func siteOf(key string) (site string, ok bool) {
	dir, file := path.Split(key)
	site = strings.TrimSuffix(dir, "/")
	ext := path.Ext(file)
	ok = strings.Count(key, "/") == 3 && strings.HasPrefix(key, "certificates/") &&
		strings.TrimSuffix(file, ext) == path.Base(site) && (ext == keyPart || ext == certPart || ext == lastPart)
	return site, ok
}

func (s *Storage) storePart(site, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path.Ext(key) != lastPart {
		if len(s.parts) >= maxParts {
			return errors.New("too many certificates are half stored")
		}
		s.parts[key] = append([]byte(nil), value...)
		return nil
	}
	base := strings.TrimSuffix(key, lastPart)
	keyPEM, certPEM := s.parts[base+keyPart], s.parts[base+certPart]
	if keyPEM == nil && certPEM == nil { // the description alone, as when the CA said anew when to renew
		return s.replace(key, value)
	}
	parts := map[string][]byte{path.Base(key): value}
	for part, value := range map[string][]byte{base + keyPart: keyPEM, base + certPart: certPEM} {
		if value != nil {
			parts[path.Base(part)] = value
		}
	}
	if err := s.replaceFolder(site, parts); err != nil {
		return fmt.Errorf("%s: %w", site, err)
	}
	delete(s.parts, base+keyPart)
	delete(s.parts, base+certPart)
	return nil
}

// forgetPart forgets a part that is not in its place yet, and reports whether there was one.
func (s *Storage) forgetPart(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.parts[key]
	delete(s.parts, key)
	return ok
}

// partsOf are the names of the parts in a site's folder.
func partsOf(site string) []string {
	name := path.Base(site)
	return []string{name + keyPart, name + certPart, name + lastPart}
}

// Site returns the parts that are in the folder of a certificate, by their names there, and since when the certificate is kept.
// It is fs.ErrNotExist that there is no certificate.
func (s *Storage) Site(site string) (parts map[string][]byte, kept time.Time, err error) {
	if err := check(site); err != nil {
		return nil, kept, s.explain(err)
	}
	parts = make(map[string][]byte)
	for _, name := range partsOf(site) {
		data, err := s.read(path.Join(site, name))
		if errors.Is(err, fs.ErrNotExist) && path.Ext(name) != certPart {
			continue
		}
		if err != nil {
			return nil, kept, s.explain(err)
		}
		parts[name] = data
	}
	info, err := s.root.Stat(path.Join(site, path.Base(site)+certPart))
	if err != nil {
		return nil, kept, s.explain(err)
	}
	return parts, info.ModTime(), nil
}

// Kept is all that is kept of a certificate.
type Kept struct {
	Site  string
	Parts map[string][]byte // by their names in the folder
	Since time.Time
}

// PutSites has each of all take the place of what is kept of that certificate, at one stroke. They are on the disk when PutSites
// returns. Many at a time cost little more than a few.
func (s *Storage) PutSites(all []Kept) (err error) {
	for _, k := range all {
		if err := k.check(); err != nil {
			return s.explain(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	folders := make([]string, len(all))
	defer func() {
		for _, folder := range folders {
			_ = s.root.RemoveAll(folder) // what was at the site, when all went well
		}
	}()
	var writing errgroup.Group
	writing.SetLimit(maxWriting)
	for i, k := range all {
		folders[i] = path.Join(fresh, rand.Text())
		writing.Go(func() error { return s.prepare(folders[i], k.Site, k.Parts, k.Since) })
	}
	if err := writing.Wait(); err != nil {
		return s.explain(err)
	}
	if err := s.syncAll(); err != nil {
		return s.explain(err)
	}
	above := make(map[string]bool)
	for i, k := range all {
		if err := s.exchange(folders[i], k.Site); err != nil {
			return s.explain(err)
		}
		above[path.Dir(k.Site)] = true
	}
	for folder := range above {
		err = errors.Join(err, s.sync(folder))
	}
	return s.explain(err)
}

func (k Kept) check() error {
	if err := check(k.Site); err != nil {
		return err
	}
	for name, value := range k.Parts {
		if !slices.Contains(partsOf(k.Site), name) || len(value) > maxValue {
			return fmt.Errorf("%s: %.100q with %d bytes is no part of a certificate", k.Site, name, len(value))
		}
	}
	return nil
}

// replaceFolder writes a folder beside, with what else is in the one at site, and has it take its place.
func (s *Storage) replaceFolder(site string, files map[string][]byte) error {
	folder := path.Join(fresh, rand.Text())
	defer func() { _ = s.root.RemoveAll(folder) }() // what was at site, when all went well
	if err := s.prepare(folder, site, files, time.Time{}); err != nil {
		return err
	}
	if err := errors.Join(s.sync(folder), s.exchange(folder, site)); err != nil {
		return err
	}
	return s.sync(path.Dir(site))
}

// prepare writes files to a new folder, with what else is in the one at site. When it is said since when files are kept, they are all
// the parts that the certificate has, and need not be on the disk yet.
func (s *Storage) prepare(folder, site string, files map[string][]byte, kept time.Time) error {
	if err := errors.Join(s.root.MkdirAll(folder, folderMode), s.root.MkdirAll(path.Dir(site), folderMode)); err != nil {
		return err
	}
	for name, value := range files {
		if err := s.write(path.Join(folder, name), value, kept.IsZero()); err != nil {
			return err
		}
		if kept.IsZero() {
			continue
		}
		if err := s.root.Chtimes(path.Join(folder, name), kept, kept); err != nil {
			return err
		}
	}
	before, err := fs.ReadDir(s.root.FS(), site)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range before {
		_, replaced := files[entry.Name()]
		replaced = replaced || !kept.IsZero() && slices.Contains(partsOf(site), entry.Name())
		if replaced || !entry.Type().IsRegular() {
			continue
		}
		if err := s.root.Link(path.Join(site, entry.Name()), path.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// syncAll brings all that was written to the disk, at once: with as many files that is much quicker than one by one.
func (s *Storage) syncAll() error {
	f, err := s.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}

// exchange has two folders take each other's place at one stroke; the second may be missing. Where the file system
// can't do that (as on NFS), there is a moment without the second.
func (s *Storage) exchange(a, b string) error {
	if _, err := s.root.Lstat(b); errors.Is(err, fs.ErrNotExist) {
		return s.root.Rename(a, b)
	}
	here, err := s.root.Open(".")
	if err != nil {
		return err
	}
	defer here.Close()
	at := int(here.Fd())
	err = unix.Renameat2(at, a, at, b, unix.RENAME_EXCHANGE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	aside := a + "-before"
	if err := s.root.Rename(b, aside); err != nil {
		return err
	}
	if err := s.root.Rename(a, b); err != nil {
		return errors.Join(err, s.root.Rename(aside, b))
	}
	return s.root.Rename(aside, a)
}
