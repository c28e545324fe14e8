// Package listen opens the sockets that visitors and operators come in by: bound by address, or handed over by
// systemd, with PROXY protocol v2 where a load balancer in front speaks it.
//
// In comes what concerns a listening socket before its first byte of HTTP or TLS. What is said on a connection
// is the business of the fronts.
package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/onehost/edge/core/config"
)

// Listeners are the open sockets.
type Listeners struct {
	HTTP    []net.Listener
	HTTPS   []net.Listener
	QUIC    []net.PacketConn // UDP, on the addresses of HTTPS
	Metrics net.Listener     // nil when there is none
}

// Open opens what cfg asks for. An inherited socket called "http", "https", "quic" or "metrics" takes the place of the
// addresses in cfg. One of another name is refused, because nobody would ever accept on it. On error what was opened
// here is closed.
func Open(cfg config.Listen, inherited Sockets) (l *Listeners, err error) {
	l = new(Listeners)
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := inherited.check(); err != nil {
		return l, err
	}
	if l.HTTP, err = open("listen.http", cfg.HTTP, inherited.Streams["http"]); err != nil {
		return l, err
	}
	if err := l.openHTTPS(cfg, inherited); err != nil {
		return l, err
	}
	metrics, err := open("listen.metrics", nonEmpty(cfg.Metrics), inherited.Streams["metrics"])
	if err != nil {
		return l, err
	}
	if len(metrics) > 0 {
		l.Metrics = metrics[0]
	}
	if len(cfg.ProxyProtocol) > 0 {
		wrap(l.HTTP, cfg.ProxyProtocol)
		wrap(l.HTTPS, cfg.ProxyProtocol)
	}
	return l, nil
}

// CloseVisitors closes those that visitors connect to. Systemd's own copies of inherited sockets stay open: visitors
// queue there for the next process. The UDP sockets stay open as well, since all connections live on them: a front that
// drains takes no new ones.
func (l *Listeners) CloseVisitors() {
	closeAll(l.HTTP)
	closeAll(l.HTTPS)
}

// CloseQUIC closes the UDP sockets, and with them all connections that have not ended.
func (l *Listeners) CloseQUIC() { closeAll(l.QUIC) }

// Close closes all of them.
func (l *Listeners) Close() {
	l.CloseVisitors()
	l.CloseQUIC()
	if l.Metrics != nil {
		l.Metrics.Close()
	}
}

func open(key string, addresses []string, inherited []net.Listener) ([]net.Listener, error) {
	if len(inherited) > 0 {
		return inherited, nil
	}
	var opened []net.Listener
	for _, address := range addresses {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			closeAll(opened)
			return nil, explain(key, address, err)
		}
		opened = append(opened, ln)
	}
	return opened, nil
}

// explain says what a sysadmin can do about a socket that can't be had.
func explain(key, address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	kind, or := "t", ""
	if key == h3Key {
		kind, or = "u", ", or serve without HTTP/3 by `h3: off`"
	}
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no permission to listen on %s: use a port above 1023, let systemd open the socket, or run `setcap cap_net_bind_service=+ep` on the binary%s", key, address, or)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is taken by another program: `ss -l%snp 'sport = :%s'` names it%s", key, address, kind, port, or)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %s is no address of this machine: `ip addr` lists them", key, address)
	default:
		return fmt.Errorf("%s: listen on %s: %w", key, address, err)
	}
}

func nonEmpty(s string) []string {
	if s = strings.TrimSpace(s); s == "" {
		return nil
	}
	return []string{s}
}

func contains(prefixes []netip.Prefix, a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return false
	}
	addr := ap.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
