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

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/onehost/edge/core/config"
)

// Listeners are the open sockets.
type Listeners struct {
	HTTP    []net.Listener
	HTTPS   []net.Listener
	Metrics net.Listener // nil when there is none
}

// Inherited returns the stream sockets that systemd passed to this process, by the names of their units'
// FileDescriptorName= (sd_listen_fds(3)). The environment variables are removed, so it answers once.
func Inherited() (map[string][]net.Listener, error) {
	inherited, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	for name, listeners := range inherited {
		inherited[name] = slices.DeleteFunc(listeners, func(ln net.Listener) bool { return ln == nil })
	}
	return inherited, nil
}

// Open opens what cfg asks for. An inherited socket called "http", "https" or "metrics" takes the place of the
// addresses in cfg. One of another name is refused, because nobody would ever accept on it; "quic" is let through, since
// those are datagram sockets. On error what was opened here is closed.
func Open(cfg config.Listen, inherited map[string][]net.Listener) (l *Listeners, err error) {
	l = new(Listeners)
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	for name := range inherited {
		if !slices.Contains([]string{"http", "https", "quic", "metrics"}, name) {
			return l, fmt.Errorf("systemd passed a socket called %q: FileDescriptorName= must be http, https, quic or metrics", name)
		}
	}
	if l.HTTP, err = open("listen.http", cfg.HTTP, inherited["http"]); err != nil {
		return l, err
	}
	if l.HTTPS, err = open("listen.https", cfg.HTTPS, inherited["https"]); err != nil {
		return l, err
	}
	metrics, err := open("listen.metrics", nonEmpty(cfg.Metrics), inherited["metrics"])
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

// CloseVisitors closes those that visitors come in by. Systemd's own copies of inherited sockets stay open: visitors
// queue there for the next process.
func (l *Listeners) CloseVisitors() {
	for _, ln := range l.HTTP {
		ln.Close()
	}
	for _, ln := range l.HTTPS {
		ln.Close()
	}
}

// Close closes all of them.
func (l *Listeners) Close() {
	l.CloseVisitors()
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
			for _, ln := range opened {
				ln.Close()
			}
			return nil, explain(key, address, err)
		}
		opened = append(opened, ln)
	}
	return opened, nil
}

// explain says what a sysadmin can do about a socket that can't be had.
func explain(key, address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no permission to listen on %s: use a port above 1023, let systemd open the socket, or run `setcap cap_net_bind_service=+ep` on the binary", key, address)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is taken by another program: `ss -ltnp 'sport = :%s'` names it", key, address, port)
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
