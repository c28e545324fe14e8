package pypitest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	startTimeout = time.Minute // Python reads a lot of files the first time
	lineLimit    = 16 << 20    // bytes
	lineCount    = 1024
)

// Process is a running program in Python.
type Process struct {
	// Lines are what it says on its standard output. They end when it does; those that nobody takes are lost after a thousand.
	Lines <-chan string

	stdin io.Closer
	ended chan struct{}
}

// Start runs the text of a program, which has to end when its standard input does: that it does however the test's process ends.
// Its standard error is the test's.
func Start(interpreter, program string, args ...string) (*Process, error) {
	cmd := exec.Command(interpreter, append([]string{"-c", program}, args...)...) //nolint:gosec // no foreign input: both are ours
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := make(chan string, lineCount)
	p := &Process{Lines: lines, stdin: stdin, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		read(output, lines)
		_ = cmd.Wait()
	}()
	return p, nil
}

func read(output io.Reader, lines chan<- string) {
	defer close(lines)
	in := bufio.NewScanner(output)
	in.Buffer(nil, lineLimit)
	for in.Scan() {
		select {
		case lines <- in.Text():
		default: // nobody wants so many
		}
	}
}

// First waits for the first line that wanted takes.
func (p *Process) First(wanted func(line string) bool) error {
	tooLate := time.After(startTimeout)
	var said strings.Builder
	for {
		select {
		case line, more := <-p.Lines:
			if !more {
				return errors.New("it ended: " + said.String())
			}
			if wanted(line) {
				return nil
			}
			said.WriteString(line + "\n")
		case <-tooLate:
			return fmt.Errorf("it did not say where it listens within %v", startTimeout)
		}
	}
}

// Close ends it.
func (p *Process) Close() {
	p.stdin.Close()
	<-p.ended
}
