package lambda

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

// child is another process that has functions under way, and then waits to be killed.
func child() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f := New(Options{Log: slog.New(slog.DiscardHandler)})
	plan, err := f.Plan(&config.Config{Functions: map[string]config.Function{"f": {Command: os.Getenv("EDGE_LAMBDA_CHILD"), Timeout: time.Minute, Concurrency: 3}}})
	if err != nil {
		panic(err)
	}
	plan.Commit()
	go func() { _ = f.Run(ctx) }()
	answered := make(chan string, 3)
	for range 3 { // at once, so that they are three
		go func() {
			result, err := f.Invoke(ctx, "f", []byte(`{"do":"sleep","n":500}`))
			if err != nil {
				panic(err)
			}
			answered <- string(result.Payload)
		}()
	}
	for range 3 {
		fmt.Println(<-answered)
	}
	go func() { _, _ = f.Invoke(ctx, "f", []byte(`{"do":"sleep","n":60000}`)) }()
	<-ctx.Done()
	os.Exit(1)
}

// startChild returns the process and those of its functions.
func startChild(t *testing.T) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "EDGE_LAMBDA_CHILD="+program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(out); len(pids) < 3 && lines.Scan(); {
		pid := 0
		if _, err := fmt.Sscanf(strings.TrimSpace(lines.Text()), `{"pid":%d}`, &pid); err != nil || gone(pid) {
			t.Fatalf("it says %q", lines.Text())
		}
		pids = append(pids, pid)
	}
	if len(pids) != 3 {
		t.Fatal("it has ended")
	}
	return cmd, pids
}
