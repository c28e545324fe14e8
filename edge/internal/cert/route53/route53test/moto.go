package route53test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const startTimeout = time.Minute // Python reads a lot of files the first time

// program runs moto until its standard input ends, which it does however the test's process ends.
const program = `
import os, sys, threading
def watch():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from moto.server import main
main(["-H", "127.0.0.1", "-p", "0"])
`

var listening = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)

// moto is a moto server in a process of its own.
type moto struct {
	url   string
	stdin io.Closer
	ended chan struct{}
}

func startMoto(ctx context.Context) (*moto, error) {
	interpreter, err := python(ctx)
	if err != nil {
		return nil, fmt.Errorf("installing moto (python3 with venv and pip is needed): %w", err)
	}
	cmd := exec.Command(interpreter, "-c", program)
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "MOTO_PORT=0")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m := &moto{stdin: stdin, ended: make(chan struct{})}
	url := make(chan string, 1)
	go func() {
		defer close(m.ended)
		url <- readURL(output)
		_, _ = io.Copy(io.Discard, output)
		_ = cmd.Wait()
	}()
	select {
	case m.url = <-url:
		if strings.HasPrefix(m.url, "http") {
			return m, nil
		}
		err = errors.New("moto ended: " + m.url)
	case <-time.After(startTimeout):
		err = fmt.Errorf("moto did not say where it listens within %v", startTimeout)
	}
	m.close()
	return nil, err
}

// readURL reads until moto says where it listens. When it doesn't, it returns what it said instead.
func readURL(output io.Reader) string {
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
		said.WriteString(lines.Text() + "\n")
	}
	return said.String()
}

func (m *moto) close() {
	m.stdin.Close()
	<-m.ended
}
