package spool

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A segment is a file of records that this process has locked.
type segment struct {
	name  string
	seq   uint64
	salt  [8]byte
	file  *os.File
	end   int64 // bytes that are on the disk for certain; under Spool.mu
	first int64 // all before it is drained; of who drains

	unmarked map[int64]bool // where records stand that are drained and could not be marked; of who drains
}

const (
	version  = ".v1"
	newFiles = ".new-" // prefix of files that are being made
)

func segmentName(seq uint64, salt [8]byte) string {
	return fmt.Sprintf("%016x-%x%s", seq, salt, version)
}

// parseName reads the name of a segment; false is no segment's.
func parseName(name string) (seq uint64, salt [8]byte, ok bool) {
	number, rest, _ := strings.Cut(name, "-")
	seq, err := strconv.ParseUint(number, 16, 64)
	text, isOurs := strings.CutSuffix(rest, version)
	b, saltErr := hex.DecodeString(text)
	if err != nil || saltErr != nil || !isOurs || len(b) != len(salt) {
		return 0, salt, false
	}
	copy(salt[:], b)
	return seq, salt, name == segmentName(seq, salt)
}

// adopt takes the segments that no process has: those that are there from before, or that another process has left.
func (s *Spool) adopt() error {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return fmt.Errorf("the folder of the spool can't be read: %w", err)
	}
	var problems []error
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, newFiles) || s.has(name) {
			continue
		}
		seq, salt, ok := parseName(name)
		if !ok {
			problems = append(problems, fmt.Errorf("%s is no file of this version's spool: move it away, or run the version of edge that wrote it until it is drained", filepath.Join(s.folder, name)))
			continue
		}
		seg := &segment{name: name, seq: seq, salt: salt}
		if err := s.take(seg); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", filepath.Join(s.folder, name), err))
		}
	}
	return errors.Join(problems...)
}

func (s *Spool) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.segments, func(seg *segment) bool { return seg.name == name })
}

// take locks a segment, counts what is in it, and adds it to the others, unless another process has it.
func (s *Spool) take(seg *segment) (err error) {
	f, err := s.root.OpenFile(seg.name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was drained meanwhile
	}
	if err != nil {
		return err
	}
	mine, err := lock(f)
	if err != nil || !mine {
		return errors.Join(err, f.Close())
	}
	seg.file = f
	waiting, err := seg.count()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for line, n := range waiting {
		s.waiting[line] += n
		s.n += n
	}
	s.insert(seg)
	return nil
}

func (s *Spool) insert(seg *segment) {
	s.segments = append(s.segments, seg)
	slices.SortFunc(s.segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.name, b.name))
	})
}

// lock takes a file for this process; false: another one has it, or has removed it.
func lock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, err
	}
	return st.Nlink > 0, nil
}

// count reads how many records of each line wait in a segment, and where its last one ends.
func (seg *segment) count() (map[string]int, error) {
	info, err := seg.file.Stat()
	if err != nil {
		return nil, err
	}
	waiting := make(map[string]int)
	for seg.end = 0; ; {
		p, err := next(seg.file, seg.salt, seg.end, info.Size())
		if err != nil {
			return nil, err
		}
		if p.kind == torn || p.kind == nothing {
			return waiting, nil
		}
		if p.kind == record && !p.done {
			line, err := seg.line(seg.end, p.head)
			if err != nil {
				return nil, err
			}
			waiting[line]++
		}
		seg.end += p.size
	}
}

// line reads the line of a record as it stands there: what it is counted under, even if it is damaged.
func (seg *segment) line(offset int64, h head) (string, error) {
	b := make([]byte, h.line)
	_, err := seg.file.ReadAt(b, offset+headSize)
	return string(b), err
}

// begin makes a new segment, behind all others. It gets its name when it is locked, so that nobody else takes it for one that was left.
func (s *Spool) begin() (*segment, error) {
	seg := &segment{seq: 1}
	_, _ = rand.Read(seg.salt[:]) // never fails
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if seq, _, ok := parseName(e.Name()); ok {
			seg.seq = max(seg.seq, seq+1)
		}
	}
	seg.name = segmentName(seg.seq, seg.salt)
	made := newFiles + seg.name
	seg.file, err = s.root.OpenFile(made, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if mine, err := lock(seg.file); err != nil || !mine {
		return nil, errors.Join(errors.New("a new segment can't be locked"), err, seg.file.Close(), s.root.Remove(made))
	}
	if err := s.root.Rename(made, seg.name); err != nil {
		return nil, errors.Join(err, seg.file.Close(), s.root.Remove(made))
	}
	if err := syncFolder(s.folder); err != nil {
		return nil, errors.Join(err, seg.file.Close(), s.root.Remove(seg.name))
	}
	return seg, nil
}

// clean removes what processes have left that died while they made a file.
func (s *Spool) clean() {
	for _, folder := range []string{s.folder, filepath.Join(s.folder, asideFolder)} {
		left, _ := filepath.Glob(filepath.Join(folder, newFiles+"*")) // the pattern is good
		for _, path := range left {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
				_ = os.Remove(path) // what can't be removed is in nobody's way
			}
		}
	}
}

// measure reads how many bytes the folder has, and how many files were set aside.
func (s *Spool) measure() {
	var total int64
	aside := 0
	for _, folder := range []string{s.folder, filepath.Join(s.folder, asideFolder)} {
		entries, _ := os.ReadDir(folder) // what can't be read can't be counted; the disk's own bound holds
		for _, e := range entries {
			if info, err := e.Info(); err == nil && !info.IsDir() {
				total += info.Size()
				if folder != s.folder {
					aside++
				}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes, s.aside = total, aside
}

// remove removes a segment durably; nobody writes to it any more.
func (s *Spool) remove(seg *segment) error {
	if err := s.root.Remove(seg.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncFolder(s.folder); err != nil {
		return err
	}
	return seg.file.Close()
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%s can't be synced: %w", path, err)
	}
	return nil
}
