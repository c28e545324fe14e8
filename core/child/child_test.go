package child_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/child"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("CHILD_TEST_PARENT") != "" {
		parent()
	}
	goleak.VerifyTestMain(m)
}

// parent starts a process that lives for a minute, tells of it, and waits to be killed.
func parent() {
	s := child.NewStarter()
	go s.Run(nil)
	sleeper := exec.Command("sleep", "60")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	sleeper.Stdout = os.Stdout // whoever reads sees when it has ended
	if err := s.Do(context.Background(), sleeper.Start); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("started\n")
	select {}
}

func TestAProcessEndsWithTheOneThatStartedIt(t *testing.T) {
	p := exec.Command(os.Args[0])
	p.Env = append(os.Environ(), "CHILD_TEST_PARENT=1")
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "started\n" {
		t.Fatal(line, err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := out.(*os.File).SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 { // at the end of both of them
		t.Error(string(rest), err)
	}
	_ = p.Wait()
}

func TestWhatItStartsGainsNoPrivileges(t *testing.T) {
	s, stop := child.NewStarter(), make(chan struct{})
	var thread sync.WaitGroup
	thread.Go(func() { s.Run(stop) })
	var said strings.Builder
	cat := exec.Command("grep", "NoNewPrivs", "/proc/self/status")
	cat.Stdout = &said
	if err := s.Do(t.Context(), cat.Start); err != nil {
		t.Fatal(err)
	}
	if err := cat.Wait(); err != nil || strings.Fields(said.String())[1] != "1" {
		t.Error(said.String(), err)
	}
	close(stop)
	thread.Wait()
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Do(late, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
