package listen_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/listen"
	"github.com/pires/go-proxyproto"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("LISTEN_FDS") != "" {
		if err := answerOnceFromSystemd(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func TestOpenByAddress(t *testing.T) {
	l, err := listen.Open(config.Listen{
		HTTP:    []string{"127.0.0.1:0", "127.0.0.1:0"},
		HTTPS:   []string{"127.0.0.1:0"},
		Metrics: "127.0.0.1:0",
	}, listen.Sockets{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, ln := range append(append(l.HTTP, l.HTTPS...), l.Metrics) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	freed := free.Addr().String()
	free.Close()

	_, err = listen.Open(config.Listen{HTTP: []string{freed}, HTTPS: []string{taken.Addr().String()}}, listen.Sockets{})
	if err == nil || !strings.Contains(err.Error(), "listen.https") || !strings.Contains(err.Error(), "ss -ltnp") {
		t.Errorf("taken port: %v", err)
	}
	again, err := net.Listen("tcp", freed)
	if err != nil {
		t.Fatalf("a failed Open left its other socket open: %v", err)
	}
	again.Close()

	_, err = listen.Open(config.Listen{HTTP: []string{"192.0.2.1:80"}}, listen.Sockets{})
	if err == nil || !strings.Contains(err.Error(), "no address of this machine") {
		t.Errorf("foreign address: %v", err)
	}
}

// TestSystemdSockets runs this test binary again with sockets as systemd would pass them.
func TestSystemdSockets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	var files []*os.File
	for _, socket := range []interface{ File() (*os.File, error) }{ln.(*net.TCPListener), pc.(*net.UDPConn)} {
		file, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}

	// LISTEN_PID must be the child's own pid: a shell knows it and keeps it through exec.
	child := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	child.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=https:quic")
	child.ExtraFiles = files
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for _, socket := range []net.Addr{ln.Addr(), pc.LocalAddr()} {
		c, err := net.Dial(socket.Network(), socket.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "hello")
		got := make([]byte, 99)
		if n, err := c.Read(got); err != nil || string(got[:n]) != "hello from "+socket.Network() {
			t.Errorf("got %q, %v", got[:n], err)
		}
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

func answerOnceFromSystemd() (err error) {
	inherited, err := listen.Inherited()
	if err != nil {
		return err
	}
	l, err := listen.Open(config.Listen{HTTPS: []string{"192.0.2.1:443"}, H3: true}, inherited)
	if err != nil {
		return err
	}
	c, err := l.HTTPS[0].Accept()
	if err != nil {
		return err
	}
	io.WriteString(c, "hello from tcp")
	_, visitor, err := l.QUIC[0].ReadFrom(make([]byte, 99))
	if err != nil {
		return err
	}
	_, err = l.QUIC[0].WriteTo([]byte("hello from udp"), visitor)
	return err
}

func TestSystemdSocketsOfAWrongNameOrKindAreRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for said, sockets := range map[string]listen.Sockets{
		`stream socket called "web"`:     {Streams: map[string][]net.Listener{"web": {ln}}},
		`stream socket called "quic"`:    {Streams: map[string][]net.Listener{"quic": {ln}}},
		`datagram socket called "https"`: {Datagrams: map[string][]net.PacketConn{"https": {pc}}},
	} {
		if _, err := listen.Open(config.Listen{H3: true}, sockets); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("got %v, want %s", err, said)
		}
	}
}

func TestUDPIsOpenedWhereTCPIs(t *testing.T) {
	l, err := listen.Open(config.Listen{HTTPS: []string{"127.0.0.1:0", "127.0.0.1:0"}, H3: true}, listen.Sockets{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(l.QUIC) != 2 {
		t.Fatalf("%d UDP sockets", len(l.QUIC))
	}
	for i, pc := range l.QUIC {
		if pc.LocalAddr().String() != l.HTTPS[i].Addr().String() {
			t.Errorf("TCP is on %s, UDP on %s", l.HTTPS[i].Addr(), pc.LocalAddr())
		}
	}
	l.CloseVisitors()
	if _, err := l.QUIC[0].WriteTo([]byte("x"), l.QUIC[1].LocalAddr()); err != nil {
		t.Errorf("CloseVisitors ended what lives on UDP: %v", err)
	}
	address := l.QUIC[0].LocalAddr().String()
	l.CloseQUIC()
	again, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatalf("CloseQUIC left the socket open: %v", err)
	}
	again.Close()
}

func TestWithoutH3NoUDPSocketIsOpened(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen.Open(config.Listen{HTTPS: []string{"127.0.0.1:0"}}, listen.Sockets{Datagrams: map[string][]net.PacketConn{"quic": {pc}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(l.QUIC) > 0 {
		t.Errorf("%d UDP sockets", len(l.QUIC))
	}
	if _, err := pc.WriteTo([]byte("x"), pc.LocalAddr()); err == nil {
		t.Error("an inherited socket that nobody reads was left open")
	}
}

func TestATakenUDPPort(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0") // a port that nobody else has for TCP either
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	taken, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free.Close()
	_, err = listen.Open(config.Listen{HTTPS: []string{address}, H3: true}, listen.Sockets{})
	if err == nil || !strings.Contains(err.Error(), "listen.h3") || !strings.Contains(err.Error(), "ss -lunp") || !strings.Contains(err.Error(), "`h3: off`") {
		t.Errorf("got %v", err)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("a failed Open left the TCP socket open: %v", err)
	}
	again.Close()
}

func TestProxyProtocol(t *testing.T) {
	visitor := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 4711}
	header := func(version byte) string {
		b, err := proxyproto.HeaderProxyFromAddrs(version, visitor, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443}).Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	v2 := func(command, family byte, addresses int) string {
		return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family, 0, byte(addresses)}) + strings.Repeat("\x01", addresses)
	}
	const local, proxy = 0x20, 0x21
	tests := []struct {
		name   string
		sender string // who must speak it
		send   string
		peer   string // what RemoteAddr says, "" for our own address
		first  string // what the first line read is; "" for an error
	}{
		{"v2 from the sender", "127.0.0.0/8", header(2) + "GET\n", "203.0.113.7:4711", "GET\n"},
		{"v2 of a UNIX socket", "127.0.0.0/8", v2(proxy, 0x31, 216) + "GET\n", "", "GET\n"},
		{"v2 of UDP", "127.0.0.0/8", v2(proxy, 0x12, 12) + "GET\n", "", "GET\n"},
		{"v2 LOCAL of no family", "127.0.0.0/8", v2(local, 0, 0) + "GET\n", "", "GET\n"},
		{"v2 LOCAL of a UNIX socket", "127.0.0.0/8", v2(local, 0x31, 216) + "GET\n", "", "GET\n"},
		{"v2 LOCAL of TCP", "127.0.0.0/8", v2(local, 0x11, 12) + "GET\n", "", "GET\n"},
		{"v2 of no family is refused", "127.0.0.0/8", v2(proxy, 0, 0) + "GET\n", "", ""},
		{"v1 is refused", "127.0.0.0/8", header(1) + "GET\n", "", ""},
		{"no header from the sender", "127.0.0.0/8", "GET / HTTP/1.1\n", "", ""},
		{"no header from others", "10.0.0.0/8", "GET\n", "", "GET\n"},
		{"a header from others is not believed", "10.0.0.0/8", header(1) + "GET\n", "", header(1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, err := listen.Open(config.Listen{
				HTTPS:         []string{"127.0.0.1:0"},
				ProxyProtocol: []netip.Prefix{netip.MustParsePrefix(test.sender)},
			}, listen.Sockets{})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			client, err := net.Dial("tcp", l.HTTPS[0].Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			io.WriteString(client, test.send)
			c, err := l.HTTPS[0].Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, ok := c.(syscall.Conn); !ok {
				t.Error("the kernel can't be asked about this connection")
			}
			first, err := bufio.NewReader(c).ReadString('\n')
			if (err != nil) != (test.first == "") || first != test.first {
				t.Errorf("read %q, %v; want %q", first, err, test.first)
			}
			want := test.peer
			if want == "" {
				want = client.LocalAddr().String()
			}
			if got := c.RemoteAddr().String(); got != want {
				t.Errorf("peer is %s, want %s", got, want)
			}
			for _, a := range []net.Addr{c.RemoteAddr(), c.LocalAddr()} {
				if _, ok := a.(*net.TCPAddr); !ok {
					t.Errorf("%v is an address of %s", a, a.Network())
				}
			}
		})
	}
}
