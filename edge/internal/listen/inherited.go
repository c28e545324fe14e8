package listen

import (
	"fmt"
	"net"
	"slices"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets are those that systemd passed to this process, by the names of their units' FileDescriptorName=
// (sd_listen_fds(3)).
type Sockets struct {
	Streams   map[string][]net.Listener
	Datagrams map[string][]net.PacketConn
}

// Inherited returns what systemd passed. The environment variables are removed, so it answers once.
func Inherited() (Sockets, error) {
	in := Sockets{Streams: map[string][]net.Listener{}, Datagrams: map[string][]net.PacketConn{}}
	for _, file := range activation.Files(true) {
		name := file.Name()
		ln, err := net.FileListener(file)
		if err == nil {
			in.Streams[name] = append(in.Streams[name], ln)
			file.Close()
			continue
		}
		pc, notPacket := net.FilePacketConn(file)
		file.Close()
		if notPacket != nil {
			return in, fmt.Errorf("socket %q from systemd: %w", name, err)
		}
		in.Datagrams[name] = append(in.Datagrams[name], pc)
	}
	return in, nil
}

// check finds sockets that nobody would ever accept on.
func (in Sockets) check() error {
	const names = "FileDescriptorName= must be http, https or metrics for ListenStream=, and quic for ListenDatagram="
	for name := range in.Streams {
		if !slices.Contains([]string{"http", "https", "metrics"}, name) {
			return fmt.Errorf("systemd passed a stream socket called %q: %s", name, names)
		}
	}
	for name := range in.Datagrams {
		if name != "quic" {
			return fmt.Errorf("systemd passed a datagram socket called %q: %s", name, names)
		}
	}
	return nil
}
