package shared

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

const (
	portion  = 250  // documents that are read or sealed at once
	outlines = 2000 // ids with digests that are read at once
)

// sync compares all that is here with all that the store has, takes up what is newer there and brings there what is newer here. What
// can't be compared is passed over.
func (s *Storage) sync(ctx context.Context) error {
	theirs, err := s.outline(ctx)
	if err != nil {
		return err
	}
	ids, err := s.ids(ctx)
	if err != nil {
		return err
	}
	var wanted, ours []string
	for _, id := range ids {
		if _, ok := theirs[id]; !ok {
			ours = append(ours, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(theirs)) {
		if s.digestOf(id) != theirs[id] {
			wanted = append(wanted, id)
		}
	}
	better, err := s.takeAll(ctx, wanted)
	if err != nil {
		return err
	}
	for _, id := range append(ours, better...) {
		if err := s.bring(ctx, id); err != nil && fault.CodeOf(err) == fault.Unavailable {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.unopened { // but those that are gone
		if _, ok := theirs[id]; !ok && !isValue(id) {
			delete(s.unopened, id)
		}
	}
	return nil
}

// outline returns the digests of all entries in the store, by id.
func (s *Storage) outline(ctx context.Context) (map[string]string, error) {
	all := make(map[string]string)
	for last := ""; ; {
		found, err := s.store.Find(ctx, store.Query{
			Collection: certificates, Filter: store.Gt("id", last), Sort: []store.Order{{Field: "id"}}, Limit: outlines, Fields: []string{"digest"},
		})
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			last = d.ID()
			if isEntry(last) {
				all[last] = d.String("digest")
			}
		}
		if len(found) < outlines {
			return all, nil
		}
	}
}

// ids returns the ids of the entries that are kept here.
func (s *Storage) ids(ctx context.Context) ([]string, error) {
	var ids []string
	for _, top := range []string{"certificates", "acme"} {
		issuers, err := s.List(ctx, top, false)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, issuer := range issuers {
			found, err := s.List(ctx, issuer, false)
			if err != nil {
				continue // no folder
			}
			for _, id := range found {
				if isEntry(id) {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids, nil
}

// takeAll takes up those of the entries that are newer in the store, and returns those that are newer here.
func (s *Storage) takeAll(ctx context.Context, ids []string) (ours []string, err error) {
	for some := range slices.Chunk(ids, portion) {
		var values []any
		for _, id := range some {
			values = append(values, id)
		}
		found, err := s.store.Find(ctx, store.Query{Collection: certificates, Filter: store.In{Field: "id", Values: values}, Limit: portion})
		if err != nil {
			return ours, err
		}
		better, err := s.take(found...)
		ours = append(ours, better...)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return ours, err
		}
	}
	return ours, nil
}

// take has what the store has of entries take the place of what is here, but for those that are newer here: they are returned. What can't
// be opened changes nothing, and is noted; the error is that the files can't be written.
func (s *Storage) take(documents ...store.Document) (ours []string, err error) {
	s.files.Lock()
	defer s.files.Unlock()
	var sites []storage.Kept
	taken := make(map[string]*entry)
	for _, d := range documents {
		id := d.ID()
		if !isEntry(id) {
			continue
		}
		theirs, err := s.open(d)
		if err != nil {
			continue
		}
		mine, err := s.kept(id)
		switch {
		case err == nil && digest(mine.Parts) == digest(theirs.Parts):
			s.inStep(id, theirs)
			continue
		case err == nil && mine.beats(theirs, s.owes(id)):
			ours = append(ours, id)
			continue
		case isSite(id):
			sites = append(sites, storage.Kept{Site: id, Parts: theirs.Parts, Since: theirs.Kept})
		default:
			if err := s.Storage.Store(context.Background(), id, theirs.Parts[path.Base(id)]); err != nil {
				return ours, err
			}
		}
		taken[id] = theirs
	}
	if len(sites) > 0 {
		if err := s.PutSites(sites); err != nil {
			return ours, err
		}
	}
	for id, theirs := range taken {
		s.inStep(id, theirs)
		s.changed(id)
	}
	return ours, nil
}

// open opens an entry of the store. What can't be opened is said once, and remembered for Problem.
func (s *Storage) open(d store.Document) (*entry, error) {
	by, err := s.sealer()
	if err != nil {
		return nil, err
	}
	id := d.ID()
	value, err := by.open(certificates, id, d.Bytes("sealed"))
	var e *entry
	if err == nil {
		e, err = decodeEntry(id, value)
	}
	s.noteOpened(id, err)
	return e, err
}

// noteOpened notes whether a document could be opened.
func (s *Storage) noteOpened(id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.unopened, id)
		return
	}
	if s.unopened[id] == nil {
		s.log.Error("a document that hosts share can't be used; the files of this host serve on", "collection", certificates, "id", id, "err", err)
	}
	s.unopened[id] = err
}

// kept reads an entry from the files of this host.
func (s *Storage) kept(id string) (*entry, error) {
	if isSite(id) {
		parts, since, err := s.Site(id)
		if err != nil {
			return nil, err
		}
		return newEntry(id, parts, since)
	}
	value, err := s.Load(context.Background(), id)
	if err != nil {
		return nil, err
	}
	return newEntry(id, map[string][]byte{path.Base(id): value}, time.Now())
}

// bring brings an entry to the store, unless what is there is newer: that is taken up.
func (s *Storage) bring(ctx context.Context, id string) error {
	by, err := s.sealer()
	if err != nil {
		return err
	}
	for {
		write, mine, err := s.bringing(ctx, by, id)
		if write == nil || err != nil {
			return err
		}
		if _, err = s.store.Apply(ctx, write); errors.Is(err, fault.Conflict) && ctx.Err() == nil {
			continue // with what is there now
		}
		if err == nil {
			s.inStep(id, mine)
		}
		return err
	}
}

// bringing returns what is to be written, nil if nothing is.
func (s *Storage) bringing(ctx context.Context, by *seal, id string) (store.Write, *entry, error) {
	there, err := s.store.Get(ctx, certificates, id)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, nil, err
	}
	if err == nil {
		if ours, err := s.take(there); len(ours) == 0 {
			return nil, nil, err
		}
	}
	mine, err := s.kept(id)
	if err != nil || there == nil && mine.over(time.Now()) {
		return nil, nil, err
	}
	value, err := mine.encode()
	if err != nil {
		return nil, nil, err
	}
	d := store.Document{"id": id, "name": path.Base(id), "digest": digest(mine.Parts), "expires": mine.expires(), "sealed": by.close(certificates, id, value)}
	if there == nil {
		return store.Insert{Collection: certificates, Document: d}, mine, nil
	}
	delete(d, "id")
	same := store.And{store.ID(id), store.Eq("digest", there.String("digest"))}
	return store.Update{Collection: certificates, Filter: same, Change: store.Change{Set: d}, Must: 1}, mine, nil
}

// inStep notes that the store has what is here.
func (s *Storage) inStep(id string, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.here[id] = digest(e.Parts)
	delete(s.owed, id)
}

func (s *Storage) owes(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owed[id]
}

// digestOf is the digest of what is here, "" if nothing is that could be shared.
func (s *Storage) digestOf(id string) string {
	s.mu.Lock()
	known := s.here[id]
	s.mu.Unlock()
	if known != "" {
		return known
	}
	e, err := s.kept(id)
	if err != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.here[id] = digest(e.Parts)
	return s.here[id]
}
