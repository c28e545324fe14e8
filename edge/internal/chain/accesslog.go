package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
)

const (
	logBound  = 4 << 20               // bytes of lines that wait for the writer; more are dropped
	logBatch  = 64 << 10              // bytes that are written without waiting for more
	logGather = 20 * time.Millisecond // how long a line may wait for others: to wake the writer costs more than many lines
	logRetry  = time.Second           // between attempts to write to what refused it
	logDrain  = 2 * time.Second       // for what waits, when Run is told to end
	logRoom   = 1 << 10               // bytes that most lines fit in
	logKeep   = 16 << 10              // bytes of a line's buffer that are worth keeping
	logMode   = os.FileMode(0o640)    // of a new file: addresses of visitors are nobody else's business
	logFlags  = os.O_APPEND | os.O_CREATE | os.O_WRONLY
)

// AccessLog writes one line for each request to stdout or to a file, and never keeps a visitor waiting for it: lines gather in
// memory, [AccessLog.Run] writes them in batches, and those that don't fit are dropped, counted, and reported by a line
// of their own: {"time":…,"message":"access log lines dropped","dropped":N}.
//
// What can't be written (a full disk) waits until it can. A line is written whole or not at all.
type AccessLog struct {
	stdout io.Writer
	log    *slog.Logger
	bound  int       // bytes that may wait
	lines  sync.Pool // *line

	on      atomic.Bool
	query   atomic.Bool
	dropped atomic.Uint64
	next    atomic.Pointer[sink] // where Reopen wants it written from now on

	mu      sync.Mutex
	waiting []byte // whole lines
	lost    uint64 // lines dropped since that was last reported

	wake  chan struct{} // something waits, or next is set
	batch chan struct{} // enough waits for it to be written at once
}

// A sink is where lines are written to.
type sink struct {
	io.Writer
	close func() error
}

// NewAccessLog makes an access log that is off until [AccessLog.Reopen] says where it goes.
// stdout is what it means by "stdout"; log is told when it can't be written.
func NewAccessLog(stdout io.Writer, log *slog.Logger) *AccessLog {
	return &AccessLog{
		stdout: stdout,
		log:    log,
		bound:  logBound,
		lines:  sync.Pool{New: func() any { return &line{bytes: make([]byte, 0, logRoom)} }},
		wake:   make(chan struct{}, 1),
		batch:  make(chan struct{}, 1),
	}
}

// Reopen makes the log go where c says, and opens its file anew even if that is where it went before, as those who
// move log files away expect of a reload. An error changes nothing.
func (l *AccessLog) Reopen(c config.Log) error {
	to := &sink{Writer: l.stdout, close: func() error { return nil }}
	switch c.Access {
	case "off":
		to.Writer = io.Discard
	case "stdout", "":
	default:
		f, err := os.OpenFile(c.Access, logFlags, logMode)
		if err != nil {
			return fmt.Errorf("access log: %w; its folder must exist and be writable by this user (log.access)", err)
		}
		to.Writer, to.close = f, f.Close
	}
	l.query.Store(c.Query)
	l.on.Store(c.Access != "off")
	if skipped := l.next.Swap(to); skipped != nil {
		_ = skipped.close() // never written to
	}
	signal(l.wake)
	return nil
}

// Dropped returns how many lines were dropped since the start.
func (l *AccessLog) Dropped() uint64 { return l.dropped.Load() }

// exchange logs x, which is complete. It doesn't block or allocate.
func (l *AccessLog) exchange(x *exchange.Exchange, status int, took time.Duration) {
	if !l.on.Load() {
		return
	}
	b := l.lines.Get().(*line)
	l.put(b.of(x, status, took, l.query.Load()))
	if cap(b.bytes) <= logKeep {
		l.lines.Put(b)
	}
}

// put lets a line wait for the writer, or drops it.
func (l *AccessLog) put(line []byte) {
	l.mu.Lock()
	before := len(l.waiting)
	if before+len(line) > l.bound {
		l.lost++
		l.mu.Unlock()
		l.dropped.Add(1)
		return
	}
	l.waiting = append(l.waiting, line...)
	l.mu.Unlock()
	if before == 0 {
		signal(l.wake)
	}
	if before < logBatch && before+len(line) >= logBatch {
		signal(l.batch)
	}
}

// swap takes all that waits and gives the room of empty to what comes next.
func (l *AccessLog) swap(empty []byte) []byte {
	l.mu.Lock()
	lines, lost := l.waiting, l.lost
	l.waiting, l.lost = empty[:0], 0
	l.mu.Unlock()
	if lost == 0 {
		return lines
	}
	lines = append(lines, `{"time":"`...)
	lines = time.Now().UTC().AppendFormat(lines, time.RFC3339Nano)
	lines = append(lines, `","message":"access log lines dropped","dropped":`...)
	lines = strconv.AppendUint(lines, lost, 10)
	return append(lines, "}\n"...)
}

// signal wakes who waits on c, or the next one who will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run writes the log until ctx is done and then what still waits. It returns an error when that takes too long because
// nobody reads the other end of stdout; the goroutine that is stuck in that write ends with the process.
func (l *AccessLog) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		w := logWriter{from: l, to: &sink{Writer: io.Discard, close: func() error { return nil }}}
		done <- w.run(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain := time.NewTimer(logDrain)
	defer drain.Stop()
	select {
	case err := <-done:
		return err
	case <-drain.C:
		return errors.New("access log: the last lines could not be written in time")
	}
}
