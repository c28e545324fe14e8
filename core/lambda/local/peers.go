package local

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// peers is a listener on the loopback interface that only this user's processes get through to: the port can be reached by everybody on this machine.
type peers struct{ *net.TCPListener }

// Accept returns the next connection of a process of this user.
func (l *peers) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if ours(conn) {
			return conn, nil
		}
		conn.Close()
	}
}

// ours reports whether the other end of a connection within this machine is a socket of this user, as the kernel tells in /proc/net/tcp (proc_net(5)).
// The other end may be a socket of IPv6, as Java's are.
func ours(conn *net.TCPConn) bool {
	peer, local := addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.Open(name)
		if err != nil {
			continue
		}
		uid, found := ownerOf(table, peer, local)
		table.Close()
		if found {
			return uid == os.Geteuid()
		}
	}
	return false
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// ownerOf finds whose a socket is, in a table of the kernel's. Only one that is established says so: one that its process has closed is nobody's, and shows as root's.
func ownerOf(table io.Reader, local, remote netip.AddrPort) (uid int, found bool) {
	const established = "01"
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // sl local_address rem_address st queues timer retrnsmt uid timeout inode …
		if len(fields) < 10 || fields[3] != established || fields[9] == "0" {
			continue
		}
		if at, ok := kernelAddr(fields[1]); !ok || at != local {
			continue
		}
		if at, ok := kernelAddr(fields[2]); !ok || at != remote {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil
	}
	return 0, false
}

// kernelAddr reads an address such as 0100007F:1F90: words of the machine's order, and a port.
func kernelAddr(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}
