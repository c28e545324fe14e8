package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	asideFolder = "aside"
	marksASync  = 256 // records that are drained before their marks are synced
)

// Never is the error of a record that can't ever be taken: it is set aside.
type Never struct{ Err error }

func (n *Never) Error() string { return n.Err.Error() }

// Unwrap returns why.
func (n *Never) Unwrap() error { return n.Err }

// Blocked is the error of a record that can't be taken now, while those of other lines may be: all of its line stays until the next Drain.
type Blocked struct{ Err error }

func (b *Blocked) Error() string { return b.Err.Error() }

// Unwrap returns why.
func (b *Blocked) Unwrap() error { return b.Err }

// Drain gives f the records one after the other, in order, and removes those that it returns nil for. A [*Never] and a [*Blocked] are of one record and its
// line; another error ends Drain, which returns it. nil: nothing has stayed of what was there when Drain came to the end. That lines are blocked, and errors of the
// spool's own, such as a damaged file that can't be set aside, are returned at the end, and keep back nothing else. One Drain runs at a time.
func (s *Spool) Drain(ctx context.Context, f func(ctx context.Context, line string, record []byte) error) error {
	select {
	case s.draining <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.draining }()
	d := &drain{Spool: s, f: f, blocked: make(map[string]error)}
	d.problem(s.adopt())
	for seg := s.behind(""); seg != nil; seg = s.behind(seg.name) {
		if err := d.segment(ctx, seg); err != nil {
			return err
		}
	}
	s.measure()
	s.mu.Lock()
	if s.n == 0 {
		s.trouble = nil // nothing needs it now; whether there is room is seen by Trouble itself
	}
	s.mu.Unlock()
	for _, err := range d.blocked {
		d.problem(err)
	}
	return errors.Join(d.problems...)
}

// behind returns the segment after the one of that name.
func (s *Spool) behind(name string) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		if seg.name > name {
			return seg
		}
	}
	return nil
}

// A drain is one pass over all segments.
type drain struct {
	*Spool
	f        func(ctx context.Context, line string, record []byte) error
	blocked  map[string]error
	problems []error
	marks    int // that are not synced
}

func (d *drain) problem(err error) {
	if err != nil {
		d.problems = append(d.problems, err)
	}
}

// stays notes why a record is not gone.
func (d *drain) stays(err error) (gone bool) {
	d.problem(err)
	return false
}

// segment drains one segment, and removes it if nothing stays in it. An error is f's, or the context's.
func (d *drain) segment(ctx context.Context, seg *segment) error {
	for offset := seg.first; ; {
		p, err := d.next(ctx, seg, offset)
		if err != nil || p.kind == nothing {
			d.problem(d.sync(seg))
			if err != nil {
				return err
			}
			break
		}
		gone, err := d.piece(ctx, seg, offset, p)
		if err != nil {
			d.problem(d.sync(seg))
			return err
		}
		if gone && offset == seg.first {
			seg.first += p.size
		}
		offset += p.size
	}
	if !d.leave(seg) {
		return nil
	}
	if err := d.remove(seg); err != nil {
		d.problem(fmt.Errorf("%s can't be removed: %w", seg.name, err))
		d.unleave(seg)
	}
	return nil
}

// next returns the piece at an offset. What can't be read keeps nothing behind this segment back.
func (d *drain) next(ctx context.Context, seg *segment, offset int64) (piece, error) {
	d.mu.Lock()
	end, closed := seg.end, d.closed
	d.mu.Unlock()
	if closed {
		return piece{}, errClosed
	}
	if ctx.Err() != nil {
		return piece{}, ctx.Err()
	}
	p, err := next(seg.file, seg.salt, offset, end)
	if err != nil {
		d.problem(fmt.Errorf("%s: %w", seg.name, err))
		return piece{kind: nothing}, nil
	}
	if p.kind == torn { // before the end of what was synced
		p.kind = damage
	}
	return p, nil
}

// piece drains one piece, or sets it aside, and reports whether it is gone.
func (d *drain) piece(ctx context.Context, seg *segment, offset int64, p piece) (gone bool, err error) {
	if p.kind == damage {
		return d.damage(seg, offset, p.size), nil
	}
	if p.done || seg.unmarked[offset] {
		return true, nil
	}
	line, data, err := readBody(seg.file, offset, p.head)
	switch {
	case errors.Is(err, errDamaged):
	case err != nil:
		return d.stays(fmt.Errorf("%s: %w", seg.name, err)), nil
	default:
		if _, waits := d.blocked[line]; waits {
			return false, nil
		}
		err = d.f(ctx, line, data)
	}
	never, blocked := (*Never)(nil), (*Blocked)(nil)
	switch {
	case err == nil:
	case errors.As(err, &blocked):
		d.blocked[line] = blocked
		return d.stays(nil), nil // Drain says it at its end
	case errors.As(err, &never) || errors.Is(err, errDamaged):
		if err := d.aside(seg, offset, p.size, err); err != nil {
			return d.stays(err), nil
		}
	default:
		return false, err
	}
	d.mark(seg, offset, p.head)
	return true, nil
}

// mark notes in the file that a record is drained. Where that can't be, it is known until this process ends, and the record is drained once more then.
func (d *drain) mark(seg *segment, offset int64, h head) {
	line, err := seg.line(offset, h)
	if err == nil {
		_, err = seg.file.WriteAt([]byte{done}, offset+stateAt)
	}
	if err != nil {
		d.problem(fmt.Errorf("%s: what is drained can't be marked: %w", seg.name, err))
		if seg.unmarked == nil {
			seg.unmarked = make(map[int64]bool)
		}
		seg.unmarked[offset] = true
	}
	d.mu.Lock()
	if d.n--; d.waiting[line] > 1 {
		d.waiting[line]--
	} else {
		d.empty(line)
	}
	d.mu.Unlock()
	if d.marks++; d.marks >= marksASync {
		d.problem(d.sync(seg))
	}
}

func (d *drain) sync(seg *segment) error {
	if d.marks == 0 {
		return nil
	}
	d.marks = 0
	if err := unix.Fdatasync(int(seg.file.Fd())); err != nil {
		return fmt.Errorf("%s: what is drained can't be marked: %w", seg.name, err)
	}
	return nil
}

// leave takes a segment of which all is drained out of the others; false: something is in it, or may be in a moment.
func (d *drain) leave(seg *segment) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if seg.first < seg.end || seg == d.active && d.writing {
		return false
	}
	if seg == d.active {
		d.active = nil
	}
	d.marks = 0
	d.segments = without(d.segments, seg)
	if len(d.segments) == 0 { // a name that was damaged is not the one that it was counted under
		for line := range d.waiting {
			d.empty(line)
		}
		d.n = 0
	}
	return true
}

func (d *drain) unleave(seg *segment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.insert(seg)
}

func without(all []*segment, one *segment) []*segment {
	rest := make([]*segment, 0, len(all))
	for _, seg := range all {
		if seg != one {
			rest = append(rest, seg)
		}
	}
	return rest
}

// damage writes what is no record into a file, and makes it one that is done.
func (d *drain) damage(seg *segment, offset, size int64) (gone bool) {
	err := d.aside(seg, offset, size, errDamaged)
	if err == nil && size >= headSize {
		d.marks++
		_, err = seg.file.WriteAt(filler(seg.salt, size), offset)
	}
	d.problem(err)
	return err == nil
}

// aside copies a part of a segment, with why, into a file whose name says where it stood: once more after a crash, it is the same file.
func (d *drain) aside(seg *segment, offset, size int64, why error) error {
	b := make([]byte, size)
	if _, err := seg.file.ReadAt(b, offset); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%d", seg.name, offset)
	text := fmt.Sprintf("spool %s\nat %d\nset aside %s\nbecause %s\n\n", seg.name, offset, time.Now().UTC().Format(time.RFC3339), why)
	if err := d.writeFile(name, append([]byte(text), b...)); err != nil {
		return fmt.Errorf("a delivery in the spool that can't be kept (%w) can't be set aside either: %w", why, err)
	}
	d.log.Error("a delivery in the spool can't be kept, and was set aside", "file", filepath.Join(d.folder, asideFolder, name), "bytes", size, "err", why)
	return nil
}

// writeFile makes a file in the folder aside durably, or none.
func (s *Spool) writeFile(name string, data []byte) error {
	made, path := filepath.Join(asideFolder, newFiles+name), filepath.Join(asideFolder, name)
	f, err := s.root.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = s.root.Rename(made, path)
	}
	if err != nil {
		return errors.Join(err, s.root.Remove(made))
	}
	return syncFolder(filepath.Join(s.folder, asideFolder))
}
