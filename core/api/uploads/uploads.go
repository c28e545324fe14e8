// Package uploads takes files, keeps them on a disk or in S3, and serves them again. What is known of a file is an entry of the type file.
//
// Nobody is trusted with what a file is: its type is what its bytes say, its name in the address is random, and what a browser could run is never shown, only
// saved. Bytes are kept as they came: a picture that tells where it was taken (EXIF) still does. No smaller pictures are made.
//
// Where a file lies, its entry's provider says: local is a folder, aws-s3 a bucket. Its address is the same, and it is served from here: so the bucket stays
// private, and its files have the same headers. Hosts that share a store need a bucket or a folder that they share.
//
// In comes what a file is and where it lies. Who may do what with it, access says; how its entry looks in an answer, wire.
package uploads

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onehost/edge/core/api/entries"
	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

// Limits of a request.
const (
	MaxFiles  = 20       // files
	maxParts  = 100      // parts of its body
	maxInfo   = 64 << 10 // bytes of a fileInfo
	maxBeside = 1 << 20  // bytes of the body besides files
)

// spare is how many bytes of the disk are left to others: the store may lie on it, and does not work without.
const spare = 256 << 20

// incoming is the folder, in that of the files, for those whose entries are not written yet.
const incoming = ".incoming"

// Options are what files need.
type Options struct {
	Entries *entries.Entries
	Log     *slog.Logger
}

// Uploads are the files of an api.
type Uploads struct {
	entries *entries.Entries
	log     *slog.Logger
	now     atomic.Pointer[state]
}

// state is what a configuration has come to.
type state struct {
	config.APIUploads
	file   *schema.Type
	disk   *disk
	bucket *bucket // nil: files are kept on the disk
	spare  uint64  // bytes
}

// New makes uploads. [Uploads.Use] comes before anything else.
func New(o Options) *Uploads { return &Uploads{entries: o.Entries, log: o.Log} }

// Use has the next requests follow a configuration and a set of types. A folder that can't be written to, and a bucket without a region, are errors.
func (u *Uploads) Use(ctx context.Context, c config.APIUploads, set *schema.Set) error {
	if err := os.MkdirAll(filepath.Join(c.Folder, incoming), 0o700); err != nil {
		return fmt.Errorf("api.uploads: %w", err)
	}
	s := &state{APIUploads: c, file: set.UID(schema.FileUID), disk: &disk{folder: c.Folder}, spare: spare}
	if old := u.now.Load(); c.S3 != nil && old != nil && old.S3 != nil && *old.S3 == *c.S3 {
		s.bucket = old.bucket
	} else if c.S3 != nil {
		var err error
		if s.bucket, err = newBucket(ctx, *c.S3, u.log); err != nil {
			return err
		}
	}
	u.now.Store(s)
	return nil
}

// place is where new files are kept.
func (s *state) place() place {
	if s.bucket != nil {
		return s.bucket
	}
	return s.disk
}

// of is where the files of a provider lie; nil when it is not known here.
func (s *state) of(provider string) place {
	switch {
	case provider == s.disk.provider():
		return s.disk
	case s.bucket != nil && provider == s.bucket.provider():
		return s.bucket
	}
	return nil
}

const (
	sweepEvery = time.Hour
	abandoned  = time.Hour // after which a request that wrote a file has ended
)

// Run removes what requests that did not come to their end have left, until ctx ends.
func (u *Uploads) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := u.sweep(ctx, time.Now().Add(-abandoned)); err != nil && ctx.Err() == nil {
			u.log.WarnContext(ctx, "uploads: what unfinished requests have left could not be removed; it is tried again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweep removes files that came before a time and whose entry was never written.
func (u *Uploads) sweep(ctx context.Context, before time.Time) error {
	s := u.now.Load()
	if s == nil {
		return nil
	}
	waiting, err := os.ReadDir(filepath.Join(s.Folder, incoming))
	if err != nil {
		return err
	}
	var wrong error
	for _, e := range waiting {
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) {
			continue
		}
		wrong = errors.Join(wrong, u.forget(ctx, s, e.Name()))
	}
	return wrong
}

// forget removes a file that is waiting, and the kept one unless it has an entry.
func (u *Uploads) forget(ctx context.Context, s *state, name string) error {
	if isName(name) {
		n, err := u.entries.Count(ctx, s.file, named(s.file, hashOf(name)), nil)
		if err != nil {
			return err
		}
		if n == 0 {
			if err := s.place().remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return os.Remove(filepath.Join(s.Folder, incoming, name))
}

// room is an error when the largest file would take what is left to others. A disk that does not say it has room.
func (s *state) room() error {
	var disk syscall.Statfs_t
	if syscall.Statfs(s.Folder, &disk) == nil && disk.Bavail*uint64(disk.Bsize) < s.spare+uint64(s.Size) {
		return full()
	}
	return nil
}

// full is what a disk without space answers.
func full() error {
	return &problem.Error{Status: 507, Name: "InsufficientStorageError", Message: "There is no space for files at the moment. Please try again later.", Details: problem.None{}, Code: fault.Unavailable}
}
