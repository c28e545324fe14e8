package listen

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/onehost/edge/core/config"
)

const h3Key = "listen.h3"

// portTries is how often another port is asked for when the one that the kernel chose for TCP is taken for UDP.
const portTries = 10

// openHTTPS opens the TCP sockets and, for h3, UDP sockets at the very same addresses: visitors learn of HTTP/3 by
// Alt-Svc, which names one port.
func (l *Listeners) openHTTPS(cfg config.Listen, inherited Sockets) (err error) {
	quic := inherited.Datagrams["quic"]
	if !cfg.H3 {
		closeAll(quic) // systemd has copies of its own
		l.HTTPS, err = open("listen.https", cfg.HTTPS, inherited.Streams["https"])
		return err
	}
	for try := 1; ; try++ {
		if l.HTTPS, err = open("listen.https", cfg.HTTPS, inherited.Streams["https"]); err != nil {
			return err
		}
		if len(quic) > 0 {
			l.QUIC = quic
			return nil
		}
		taken, err := l.openQUIC()
		if err == nil {
			return nil
		}
		if !taken || try == portTries || !choosesPort(cfg.HTTPS) || len(inherited.Streams["https"]) > 0 {
			return err
		}
		closeAll(l.HTTPS)
	}
}

// openQUIC reports whether an error is that another program has the address.
func (l *Listeners) openQUIC() (taken bool, err error) {
	for _, ln := range l.HTTPS {
		address := ln.Addr().String()
		pc, err := net.ListenPacket("udp", address)
		if err != nil {
			l.CloseQUIC()
			l.QUIC = nil
			return errors.Is(err, syscall.EADDRINUSE), explain(h3Key, address, err)
		}
		l.QUIC = append(l.QUIC, pc)
	}
	return false, nil
}

// choosesPort reports whether the kernel is asked to choose one.
func choosesPort(addresses []string) bool {
	for _, address := range addresses {
		if _, port, err := net.SplitHostPort(address); err == nil && port == "0" {
			return true
		}
	}
	return false
}

func closeAll[C io.Closer](all []C) {
	for _, c := range all {
		c.Close()
	}
}
