package acmetest

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAPortIsHeldWhileItsListenerComesAndGoes(t *testing.T) {
	t.Parallel()
	addr := localhost(Port(t))
	for range 3 {
		awaitRefusal(t, addr)
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		visitor, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		visitor.Close()
		listener.Close()
		AwaitForks()
	}
}

// awaitRefusal waits until nobody listens: a process that is just being started may have a copy of the listener for a moment.
func awaitRefusal(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		visitor, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			visitor.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens, and yet: %v", err)
		}
	}
}

func TestAHeldPortIsGivenToNobodyElse(t *testing.T) {
	t.Parallel()
	held := map[int]bool{}
	for range 2000 {
		port, release, err := holdPort()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if held[port] {
			t.Fatalf("port %d was given twice", port)
		}
		held[port] = true
	}
	for range 2000 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if port := listener.Addr().(*net.TCPAddr).Port; held[port] {
			t.Fatalf("held port %d was given to a listener that asked for any", port)
		}
	}
}

func TestCAsThatStartAtOnceEndWithTheirTests(t *testing.T) {
	t.Parallel()
	startAtOnce(t, 4)
}

func TestSoakCAsThatStartAtOnceEndWithTheirTests(t *testing.T) {
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: a soak: set EDGE_SOAK=1")
	}
	for range 10 {
		startAtOnce(t, 20) // so many at once as -parallel allows
	}
}

func startAtOnce(t *testing.T, starts int) {
	t.Helper()
	var mu sync.Mutex
	var pids []int
	t.Run("start", func(t *testing.T) {
		for range starts {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				ca := Start(t, Options{})
				t.Logf("ready in %v", time.Since(began))
				mu.Lock()
				defer mu.Unlock()
				pids = append(pids, ca.pebble.pid, ca.DNS.challtestsrv.pid)
			})
		}
	})
	if len(pids) != 2*starts {
		t.Fatalf("%d processes were started, not %d", len(pids), 2*starts)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
}

// A test binary that panics, is out of time or is killed runs no clean-up.
func TestServersDoNotOutliveAKilledTest(t *testing.T) {
	if os.Getenv("ACMETEST_TO_BE_KILLED") != "" {
		ca := Start(t, Options{})
		os.Stdout.WriteString("pids " + strconv.Itoa(ca.pebble.pid) + " " + strconv.Itoa(ca.DNS.challtestsrv.pid) + "\n")
		select {} // its parent kills it, and -test.timeout would
	}
	t.Parallel()
	victim := exec.Command(os.Args[0], "-test.run=^TestServersDoNotOutliveAKilledTest$", "-test.timeout=60s")
	victim.Env = append(os.Environ(), "ACMETEST_TO_BE_KILLED=1")
	victim.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := victim.StdoutPipe()
	if err == nil {
		err = victim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var servers []int // pidfds: they become readable when the process ends
	lines := bufio.NewScanner(out)
	for len(servers) == 0 && lines.Scan() {
		pids, found := strings.CutPrefix(lines.Text(), "pids ")
		if !found {
			continue
		}
		for _, text := range strings.Fields(pids) {
			pid, _ := strconv.Atoi(text)
			server, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(server)
			servers = append(servers, server)
		}
	}
	victim.Process.Kill()
	victim.Wait()
	if len(servers) != 2 {
		t.Fatalf("%d servers were started, not 2", len(servers))
	}
	for _, server := range servers {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(server), Events: unix.POLLIN}}, 10_000)
		if n != 1 || err != nil {
			t.Errorf("a server outlives the test that started it: %d, %v", n, err)
		}
	}
}

func FuzzPayload(f *testing.F) {
	f.Add("new-order", []byte(`{"payload":"eyJpZGVudGlmaWVycyI6W3sidHlwZSI6ImRucyIsInZhbHVlIjoiYS50ZXN0In1dfQ"}`))
	f.Add("finalize", []byte(`{"payload":"eyJjc3IiOiJNQUEifQ"}`))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		for _, name := range namesIn(Kind(kind), payloadOf(body)) {
			if len(name) > 3*len(body) { // what is no UTF-8 becomes U+FFFD, three bytes
				t.Errorf("a name of %d bytes out of %d", len(name), len(body))
			}
		}
	})
}
