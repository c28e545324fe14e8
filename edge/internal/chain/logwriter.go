package chain

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// A logWriter is the one goroutine that writes the access log.
type logWriter struct {
	from    *AccessLog
	to      *sink
	room    []byte // that out is in
	out     []byte // what is left to write
	midline bool   // out begins inside of a line whose beginning is written
	failing bool   // the last write failed
}

func (w *logWriter) run(ctx context.Context) error {
	for {
		w.wait(ctx)
		err := w.write()
		if ctx.Err() == nil {
			continue
		}
		lost := bytes.Count(w.out, []byte{'\n'})
		w.from.dropped.Add(uint64(lost))
		if closing := w.to.close(); err == nil {
			err = closing
		}
		if err != nil {
			return fmt.Errorf("access log: %w; %d lines lost", err, lost)
		}
		return nil
	}
}

// wait returns when it is time to write: a while after the first line, so that many are written with one system call.
func (w *logWriter) wait(ctx context.Context) {
	if w.failing {
		w.pause(ctx, logRetry, w.from.wake) // Reopen wakes too: elsewhere there may be room
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-w.from.wake:
	}
	w.pause(ctx, logGather, w.from.batch)
}

func (w *logWriter) pause(ctx context.Context, d time.Duration, early <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-early:
	case <-t.C:
	}
}

// write writes all that waits, or fails and keeps it.
func (w *logWriter) write() error {
	w.turn()
	for {
		if len(w.out) == 0 {
			w.room = w.from.swap(w.room)
			w.out = w.room
		}
		if len(w.out) == 0 {
			return nil
		}
		n, err := w.to.Write(w.out)
		if n > 0 {
			w.midline = w.out[n-1] != '\n'
			w.out = w.out[n:]
		}
		w.report(err)
		if err != nil {
			return err
		}
	}
}

// turn goes over to where Reopen wants the log. The rest of a line whose beginning stands elsewhere would not be JSON here.
func (w *logWriter) turn() {
	next := w.from.next.Swap(nil)
	if next == nil {
		return
	}
	if err := w.to.close(); err != nil {
		w.from.log.Warn("closing the access log", "error", err)
	}
	w.to = next
	if w.midline {
		w.out = w.out[bytes.IndexByte(w.out, '\n')+1:]
		w.from.dropped.Add(1)
		w.midline = false
	}
}

// report tells once when writing begins to fail and once when it works again.
func (w *logWriter) report(err error) {
	if failing := err != nil; failing != w.failing {
		w.failing = failing
		if failing {
			w.from.log.Error("the access log can't be written; lines wait in memory and are dropped when there are too many", "error", err)
		} else {
			w.from.log.Info("the access log is written again", "dropped", w.from.dropped.Load())
		}
	}
}
