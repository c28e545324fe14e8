package local

import (
	"bytes"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	lineSize   = 8 << 10 // bytes of a line; a longer one becomes several
	linesMost  = 1000    // lines of one invocation that are logged
	pipeAtOnce = 1 << 20 // bytes that are read to the end of an invocation
)

// output is what a process prints: each line goes to our log, with the request id, and the end of it into the answer.
type output struct {
	pipe *os.File
	log  *slog.Logger

	mu    sync.Mutex // held while the pipe is read, so that order is kept whoever reads
	id    string     // of the invocation under way, or of the last one
	line  []byte     // that has no end yet
	tail  []byte     // up to TailSize
	lines int
	buf   [4096]byte
}

func newOutput(pipe *os.File, log *slog.Logger) *output { return &output{pipe: pipe, log: log} }

// read reads until the pipe is closed.
func (o *output) read() {
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		return
	}
	for end := false; !end; {
		if err := conn.Read(func(fd uintptr) bool {
			n, err := o.take(fd)
			end = n == 0 && err == nil
			return n > 0 || end || err != unix.EAGAIN && err != unix.EINTR //nolint:errorlint // it is an errno
		}); err != nil {
			return
		}
	}
}

// take reads once. The pipe does not block.
func (o *output) take(fd uintptr) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := unix.Read(int(fd), o.buf[:])
	if n > 0 {
		o.add(o.buf[:n])
	}
	return n, err
}

// drain reads what is in the pipe now: all that was printed before an answer was sent.
func (o *output) drain() {
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		for read := 0; read < pipeAtOnce; {
			n, err := o.take(fd)
			if n <= 0 || err != nil {
				return
			}
			read += n
		}
	})
}

// flush reads what there is, and ends a line that has no end.
func (o *output) flush() {
	o.drain()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.emit()
}

// begin says that what is printed from now on is of an invocation.
func (o *output) begin(id string) {
	o.drain()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.emit()
	if o.id != "" { // what it prints while it starts belongs to the first
		o.tail = o.tail[:0]
	}
	o.id, o.lines = id, 0
}

// end returns the end of what was printed.
func (o *output) end() []byte {
	o.flush()
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.tail)
}

func (o *output) add(p []byte) {
	o.tail = append(o.tail, p...)
	if over := len(o.tail) - TailSize; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		part, whole := p, n >= 0
		if whole {
			part = p[:n]
		}
		if room := lineSize - len(o.line); len(part) > room {
			part = part[:room]
			o.line = append(o.line, part...)
			o.emit()
			p = p[len(part):]
			continue
		}
		o.line = append(o.line, part...)
		p = p[len(part):]
		if whole {
			p = p[1:]
			o.emit()
		}
	}
}

// emit logs the line.
func (o *output) emit() {
	line := bytes.TrimRight(o.line, "\r")
	o.line = o.line[:0]
	if len(line) == 0 {
		return
	}
	o.lines++
	switch {
	case o.lines <= linesMost:
		o.log.Info("function printed", "request_id", o.id, "line", string(line))
	case o.lines == linesMost+1:
		o.log.Warn("function prints too much: the rest of this invocation is not logged", "request_id", o.id)
	}
}

func (o *output) close() { o.pipe.Close() }
