package local

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listening is a listener that says hello to everybody whom it lets in.
func listening(t *testing.T) string {
	t.Helper()
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &peers{TCPListener: tcp}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestAProcessOfThisUserIsLetIn(t *testing.T) {
	addr := listening(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestASocketOfIPv6IsFoundToo(t *testing.T) {
	addr := netip.MustParseAddrPort(listening(t))
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("there is no IPv6 here: %v", err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if err := syscall.Connect(fd, &syscall.SockaddrInet6{Port: int(addr.Port()), Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}); err != nil {
		t.Skipf("there is no IPv4 in IPv6 here: %v", err)
	}
	if got, err := io.ReadAll(f); string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAProcessOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	_, port, err := net.SplitHostPort(listening(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(uid uint32) string {
		cmd := exec.Command("/bin/bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%s && cat <&3", port))
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, _ := cmd.Output()
		return string(out)
	}
	if got := ask(65534); got != "" {
		t.Errorf("another user got %q", got)
	}
	if got := ask(0); got != "hello" {
		t.Errorf("this user got %q", got)
	}
}

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 101 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:C002 0100007F:1F90 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
   3: 0100007F:C003 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000
`

func TestWhoseASocketIsStandsInTheKernelsTable(t *testing.T) {
	to := netip.MustParseAddrPort("127.0.0.1:8080")
	if uid, found := ownerOf(strings.NewReader(table), netip.MustParseAddrPort("127.0.0.1:49153"), to); !found || uid != 1000 {
		t.Errorf("got %d, %v", uid, found)
	}
	for _, port := range []uint16{49154, 49155, 49156, 8080} { // one that is closed, one without a process, none, the listener
		if uid, found := ownerOf(strings.NewReader(table), netip.AddrPortFrom(to.Addr(), port), to); found {
			t.Errorf("port %d is said to be %d's", port, uid)
		}
	}
}

func FuzzOwnerOf(f *testing.F) {
	f.Add(table)
	f.Fuzz(func(t *testing.T, table string) {
		if uid, found := ownerOf(strings.NewReader(table), netip.MustParseAddrPort("127.0.0.1:49153"), netip.MustParseAddrPort("127.0.0.1:8080")); found && !strings.Contains(table, fmt.Sprint(uid)) {
			t.Errorf("%d is not there", uid)
		}
	})
}
