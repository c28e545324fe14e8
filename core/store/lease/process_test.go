package lease

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/store/enginetest"
)

// childOf is the variable that makes this test binary a process of its own, which works on the store that it names.
const childOf = "EDGE_TEST_LEASE_STORE"

// holdAndWrite is that process: it takes the lease, writes whenever it reads a line, and says in the end whether it lost the lease.
func holdAndWrite(address string) error {
	ctx := context.Background()
	s, err := enginetest.Open(ctx, address)
	if err != nil {
		return err
	}
	if err := s.Ensure(ctx, Collection(), work()); err != nil {
		return err
	}
	return New(s, "child", slog.Default()).Hold(ctx, "job", time.Second, func(ctx context.Context, l *Lease) error {
		fmt.Println("held", l.Token())
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			fmt.Println(count(context.WithoutCancel(ctx), s, l) == nil)
		}
		<-ctx.Done()
		_, lost := errors.AsType[*Lost](context.Cause(ctx))
		fmt.Println("lost", lost)
		return nil
	})
}

func TestAProcessThatWasStoppedFindsThatAnotherHasItsLease(t *testing.T) {
	for engine, address := range engines.Addresses() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			stopAndOvertake(t, address(t))
		})
	}
}

func stopAndOvertake(t *testing.T, address string) {
	s := opened(t, address)
	newCounter(t, s)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childOf+"="+address)
	child.Stderr = os.Stderr
	in, _ := child.StdinPipe()
	out, _ := child.StdoutPipe()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	lines := bufio.NewScanner(out)
	says := func(line string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != line {
			t.Fatalf("the other process says %q instead of %q", lines.Text(), line)
		}
	}
	says("held 1")
	fmt.Fprintln(in)
	says("true")

	ls, _ := process(s, "parent")
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l, err := ls.TakeWhenFree(t.Context(), "job", ttl)
	if err != nil || l.Token() != 2 {
		t.Fatalf("%v, %v", l, err)
	}
	defer l.Release(context.Background())
	fmt.Fprintln(in)
	in.Close()
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	says("false")
	says("lost true")
	if err := child.Wait(); err == nil {
		t.Error("Hold has not said that the lease was lost")
	}
	if err := count(t.Context(), s, l); err != nil {
		t.Error(err)
	}
	if n := counted(t, s); n != 2 {
		t.Errorf("%d writes counted: one of each was to", n)
	}
}

// asChild ends this process with its work, if it is to be another one.
func asChild() {
	address := os.Getenv(childOf)
	if address == "" {
		return
	}
	err := holdAndWrite(address)
	if _, lost := errors.AsType[*Lost](err); lost {
		os.Exit(3)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(0)
}
