// Package mailtest runs for tests what mail is sent through: a mail server (aiosmtpd, https://aiosmtpd.aio-libs.org) and an Amazon SES (moto,
// https://docs.getmoto.org), each in a process that ends with the test. Only tests import it.
//
//	server := mailtest.StartSMTP(t, mailtest.SMTP{TLS: "starttls", User: "app", Password: "secret"})
//	mailer, err := mail.New(ctx, config.Mail{SMTP: server.Config(), From: "app@example.com"}, nil)
//	…
//	got := server.Next(t)
//
// The first test on a machine installs them into the user's cache folder, which takes a quarter of a minute and the network. Where Python is missing
// tests are skipped, and failed where CI is set.
package mailtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	startTimeout = time.Minute // Python reads a lot of files the first time
	lineLimit    = 16 << 20    // bytes
)

// process is a Python program. Its lines come out of lines, which is closed at its end.
type process struct {
	stdin io.Closer
	lines chan string
	ended chan struct{}
}

// start runs a program that ends when its standard input does, which it does however the test's process ends. What it says to stderr is thrown away unless it is read.
func start(ctx context.Context, requirements []byte, name, program string, fromStderr bool, args ...string) (*process, error) {
	interpreter, err := python(ctx, name, requirements)
	if err != nil {
		return nil, fmt.Errorf("installing %s (python3 with venv and pip is needed): %w", name, err)
	}
	cmd := exec.Command(interpreter, append([]string{"-c", program}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "MOTO_PORT=0")
	pipe := cmd.StdoutPipe
	if fromStderr {
		pipe = cmd.StderrPipe
	} else if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	output, err := pipe()
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{stdin: stdin, lines: make(chan string, 1024), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.read(output)
		_ = cmd.Wait()
	}()
	return p, nil
}

func (p *process) read(output io.Reader) {
	defer close(p.lines)
	in := bufio.NewScanner(output)
	in.Buffer(nil, lineLimit)
	for in.Scan() {
		select {
		case p.lines <- in.Text():
		default: // nobody wants so many
		}
	}
}

// first returns the first line that wanted takes.
func (p *process) first(wanted func(line string) bool) error {
	tooLate := time.After(startTimeout)
	var said strings.Builder
	for {
		select {
		case line, more := <-p.lines:
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

func (p *process) close() {
	p.stdin.Close()
	<-p.ended
}

// unavailable skips the test, or fails it where CI is set.
func unavailable(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("no %s to test with: %v", what, err)
	}
	t.Skipf("SKIPPED: no %s to test with: %v", what, err)
}
