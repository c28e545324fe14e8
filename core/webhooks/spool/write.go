package spool

import (
	"fmt"
	"path/filepath"

	"github.com/onehost/edge/core/fault"
	"golang.org/x/sys/unix"
)

const (
	mostFree   = 1 << 30 // bytes that stay free on any disk,
	shareFree  = 10      // or this part of it, if that is less
	nearlyFull = 80      // percent of its room from which on a person is told
)

type entry struct {
	line   string
	record []byte
}

func (e entry) size() int64 { return int64(headSize + len(e.line) + len(e.record)) }

// A batch is what is written and synced at once.
type batch struct {
	entries []entry
	size    int64
	done    chan struct{} // closed when it is on the disk, or err says why not
	err     error
}

// enter adds an entry to the batch that is written next.
func (s *Spool) enter(e entry) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errClosed
	case s.bytes+s.pending+e.size() > s.max:
		return nil, fmt.Errorf("the spool is full: it has %d MiB of deliveries that could not be kept yet: %w", s.bytes>>20, fault.Unavailable)
	case s.pending+e.size() > maxPending:
		return nil, fmt.Errorf("the spool's disk is too slow: %d MiB wait to be written: %w", s.pending>>20, fault.Unavailable)
	}
	s.pending += e.size()
	if s.batch == nil {
		s.batch = &batch{done: make(chan struct{})}
	}
	b := s.batch
	b.entries, b.size = append(b.entries, e), b.size+e.size()
	if s.writer == nil {
		s.writer = make(chan struct{})
		go s.write(s.writer)
	}
	return b, nil
}

// write writes batches until there is none. While one is written, the next one gathers.
func (s *Spool) write(ended chan struct{}) {
	defer close(ended)
	for {
		s.mu.Lock()
		b := s.batch
		s.batch, s.writing = nil, b != nil
		if b == nil {
			s.writer = nil
			s.mu.Unlock()
			return
		}
		seg := s.active
		s.mu.Unlock()

		seg, err := s.writeTo(seg, b)
		s.written(seg, b, err)
	}
}

// writeTo writes a batch to a segment, or a new one when there is none, and returns it.
func (s *Spool) writeTo(seg *segment, b *batch) (*segment, error) {
	if err := s.room(b.size); err != nil {
		return seg, err
	}
	if seg == nil {
		var err error
		if seg, err = s.begin(); err != nil {
			return nil, err
		}
	}
	buf := make([]byte, 0, b.size)
	for _, e := range b.entries {
		buf = appendRecord(buf, seg.salt, e.line, e.record)
	}
	if _, err := seg.file.WriteAt(buf, seg.end); err != nil {
		return seg, err
	}
	return seg, unix.Fdatasync(int(seg.file.Fd()))
}

// written makes known what came of a batch. After an error nobody knows what of the file is on the disk, even if the next sync succeeds: what was synced before
// is, and the segment is not written to again.
func (s *Spool) written(seg *segment, b *batch, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	s.pending -= b.size
	s.trouble = err
	if seg != nil && s.active != seg {
		s.insert(seg)
		s.active = seg
	}
	if err != nil {
		if s.active != nil {
			_ = s.active.file.Truncate(s.active.end) // what stays there was not acknowledged, and is drained if it is whole
			s.active = nil
		}
		b.err = fmt.Errorf("the spool can't be written to: %w: %w", fault.Unavailable, err)
		close(b.done)
		return
	}
	seg.end += b.size
	s.bytes += b.size
	for _, e := range b.entries {
		s.waiting[e.line]++
		s.n++
	}
	if seg.end >= segmentSize {
		s.active = nil
	}
	close(b.done)
}

// room returns an error when size more bytes would leave too little of the disk to others.
func (s *Spool) room(size int64) error {
	free, least, err := s.disk()
	if err != nil {
		return err
	}
	if least > 0 && free-size < least {
		return fmt.Errorf("its disk has %d MiB free, of which %d are left to others", free>>20, least>>20)
	}
	return nil
}

// disk returns how many bytes the disk has free, and how many of them stay free; 0 if it doesn't know how many it has.
func (s *Spool) disk() (free, least int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.folder, &st); err != nil {
		return 0, 0, err
	}
	size := int64(st.Blocks) * st.Bsize
	return int64(st.Bavail) * st.Bsize, min(mostFree, size/shareFree), nil
}

// Trouble says what a person has to do something about: that the spool can't be written to, is nearly full, or has set something aside. "" is nothing.
func (s *Spool) Trouble() string {
	s.mu.Lock()
	trouble, n, bytes, aside := s.trouble, s.n, s.bytes, s.aside
	s.mu.Unlock()
	if trouble != nil {
		return fmt.Sprintf("deliveries that can't be kept are refused, because the spool %s can't be written to: %v", s.folder, trouble)
	}
	left := s.max - bytes
	if free, least, err := s.disk(); err == nil && least > 0 {
		left = min(left, free-least)
	}
	if left <= 0 || bytes > 0 && left*100 < (bytes+left)*(100-nearlyFull) {
		return fmt.Sprintf("the spool %s is nearly full, which takes deliveries while the store is away: it has %d of them in %d MiB, and there is room for %d MiB more on its disk", s.folder, n, bytes>>20, max(left, 0)>>20)
	}
	if aside > 0 {
		return fmt.Sprintf("of the spool, %d deliveries could not be brought into the inbox, and are in %s: look at why, which stands at the head of each file, and remove them",
			aside, filepath.Join(s.folder, asideFolder))
	}
	return ""
}
