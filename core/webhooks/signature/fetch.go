package signature

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/onehost/edge/core/fault"
)

const (
	fetchTimeout = 5 * time.Second // from the name to the last byte
	maxFetched   = 64 << 10        // bytes
)

// pinned is a copy of the client that follows no redirects and has a deadline; without one it is a client that connects to public addresses alone, whatever a name resolves to.
func pinned(client *http.Client) *http.Client {
	own := http.Client{}
	if client != nil {
		own = *client
	} else {
		dialer := &net.Dialer{Timeout: fetchTimeout, Control: publicOnly}
		own.Transport = &http.Transport{
			DialContext:            dialer.DialContext, // and no proxy: it would choose the address
			TLSHandshakeTimeout:    fetchTimeout,
			ResponseHeaderTimeout:  fetchTimeout,
			MaxResponseHeaderBytes: maxFetched,
			DisableKeepAlives:      true, // one certificate a day
			ForceAttemptHTTP2:      true,
		}
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	if own.Timeout <= 0 || own.Timeout > fetchTimeout {
		own.Timeout = fetchTimeout
	}
	return &own
}

// publicOnly refuses to connect to what is not public. It sees the address that is dialled, after the name was resolved.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(at.Addr()) || at.Port() != 443 {
		return fmt.Errorf("%s is no public address of https", address)
	}
	return nil
}

// public reports whether an address is one of the whole internet's (IANA's special-purpose registries, RFC 6890).
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	apart := []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fec0::/10",
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && addr.Zone() == "" && !slices.ContainsFunc(apart, func(p string) bool {
		return netip.MustParsePrefix(p).Contains(addr)
	})
}

// fetch gets what stands at an address whose host was pinned before. An error is a fault.Unavailable.
func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unavailable("can't be asked", nil)
	}
	resp, err := client.Do(r)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the URL, which may have a token in it
		}
		return nil, unavailable("does not answer", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFetched+1))
	switch {
	case err != nil:
		return nil, unavailable("broke off", err)
	case resp.StatusCode != http.StatusOK:
		return nil, unavailable(fmt.Sprintf("answers with status %d", resp.StatusCode), nil)
	case len(body) > maxFetched:
		return nil, unavailable(fmt.Sprintf("answers with more than %d bytes", maxFetched), nil)
	}
	return body, nil
}

func unavailable(what string, cause error) error {
	if cause != nil {
		return fmt.Errorf("the provider's host %s: %v: %w", what, cause, fault.Unavailable) //nolint:errorlint // its code is ours, not that of the connection
	}
	return fmt.Errorf("the provider's host %s: %w", what, fault.Unavailable)
}

// parseHTTPS takes an https URL of a provider: no user, no port, no fragment.
func parseHTTPS(address string) (*url.URL, bool) {
	if len(address) > 2048 {
		return nil, false
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Fragment != "" || u.Port() != "" || u.Host != u.Hostname() {
		return nil, false
	}
	return u, true
}
