//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// floodHandshakes opens connections at a rate and sends on each the same ClientHello, which costs this side nothing and the server a
// whole key exchange and a signature. Who answers has done that work; the connection is then reset.
func floodHandshakes(ctx context.Context, a floodArgs) (flooding, error) {
	hello, err := clientHello()
	if err != nil {
		return flooding{}, err
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return flooding{}, err
	}
	defer unix.Close(poll)
	f := handshakeFlood{port: a.port, hello: hello, poll: poll, open: map[int]time.Time{}}
	defer func() {
		for fd := range f.open {
			unix.Close(fd)
		}
	}()
	const step = time.Millisecond
	began := time.Now()
	events := make([]unix.EpollEvent, 256)
	for ctx.Err() == nil {
		now := time.Now()
		if now.Sub(began) >= a.should {
			break
		}
		f.did.Offered = int(now.Sub(began).Seconds() * float64(a.rate))
		f.begin(now)
		n, err := unix.EpollWait(poll, events, int(step/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return f.did, err
		}
		for i := range max(n, 0) {
			f.hear(int(events[i].Fd))
		}
		f.forget(now)
	}
	f.did.Lines = f.did.Taken
	return f.did, nil
}

type handshakeFlood struct {
	port   int
	hello  []byte
	poll   int
	open   map[int]time.Time // since when
	queue  []int             // of open ones, oldest first; may hold some that are closed
	missed int               // offers that came to nothing because too many were open
	did    flooding
}

// begin opens what is due. More than so many are never open at once: an offer that comes then is not made.
func (f *handshakeFlood) begin(now time.Time) {
	const most, burst = 4000, 64
	for range burst {
		switch {
		case f.did.Taken+f.did.Failed+f.missed >= f.did.Offered:
			return
		case len(f.open) >= most:
			f.missed++
			continue
		}
		if err := f.connect(now); err != nil {
			if f.did.Failed++; f.did.Failed == 1 {
				f.did.Why = err.Error()
			}
		}
	}
}

func (f *handshakeFlood) connect(now time.Time) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: floodSource(f.did.Taken)}))
	if err == nil {
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: f.port, Addr: [4]byte{127, 0, 0, 1}}); errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	f.did.Taken++
	f.open[fd] = now
	f.queue = append(f.queue, fd)
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP)
	if _, err := unix.Write(fd, f.hello); err != nil {
		events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(f.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// hear reads what the server says to the hello.
func (f *handshakeFlood) hear(fd int) {
	var answer [16]byte
	n, err := unix.Read(fd, answer[:])
	switch {
	case errors.Is(err, unix.EAGAIN): // just connected
		if _, err := unix.Write(fd, f.hello); err == nil {
			_ = unix.EpollCtl(f.poll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)})
			return
		}
		f.did.Refused++
	case n > 0 && answer[0] == 22: // a handshake record (RFC 8446, section 5.1)
		f.did.Accepted++
	case n > 0:
		f.did.Other++
	default:
		f.did.Refused++
	}
	f.drop(fd)
}

func (f *handshakeFlood) drop(fd int) {
	delete(f.open, fd)
	unix.Close(fd)
}

// forget gives up who has not been answered for long.
func (f *handshakeFlood) forget(now time.Time) {
	const patience = time.Second
	for len(f.queue) > 0 {
		fd := f.queue[0]
		since, open := f.open[fd]
		if open && now.Sub(since) < patience {
			return
		}
		if open {
			f.did.Silent++
			f.drop(fd)
		}
		f.queue = f.queue[1:]
	}
}

// clientHello is what a client of today says first: TLS 1.3 with X25519MLKEM768, and no session to resume.
func clientHello() ([]byte, error) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, &tls.Config{ServerName: hosts[0], NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}).Handshake() // ends with the pipe
	}()
	hello := make([]byte, 8<<10)
	n, err := theirs.Read(hello)
	if err != nil || n == 0 || hello[0] != 22 {
		return nil, fmt.Errorf("no ClientHello: %w", err)
	}
	return hello[:n], nil
}
