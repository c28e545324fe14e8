package preflight

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// addresses are those of this host.
type addresses struct {
	local  []netip.Addr // of its interfaces
	public []netip.Addr // that EC2 translates to one of them
	err    error
}

// metadataTimeout is short: on EC2 the answer takes a millisecond, elsewhere there is none.
const metadataTimeout = time.Second

// ownAddresses finds out this host's addresses once.
func (in *inspection) ownAddresses(ctx context.Context) addresses {
	in.ownOnce.Do(func() {
		in.own.local, in.own.err = in.interfaces()
		if addr, ok := in.elastic(ctx); ok {
			in.own.public = append(in.own.public, addr)
		}
	})
	return in.own
}

// elastic asks EC2 for the instance's public IPv4 address, by IMDSv2
// (docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html).
func (w world) elastic(ctx context.Context) (netip.Addr, bool) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // by no proxy
	token, ok := fetch(ctx, client, http.MethodPut, w.metadata+"/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
	if !ok {
		return netip.Addr{}, false
	}
	text, ok := fetch(ctx, client, http.MethodGet, w.metadata+"/latest/meta-data/public-ipv4", "X-Aws-Ec2-Metadata-Token", token)
	addr, err := netip.ParseAddr(text)
	return addr, ok && err == nil
}

// fetch returns a short answer of 200.
func fetch(ctx context.Context, client *http.Client, method, url, field, value string) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", false
	}
	req.Header.Set(field, value)
	resp, err := client.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return strings.TrimSpace(string(text)), err == nil && resp.StatusCode == http.StatusOK
}

// An owner is whose an address is.
type owner string

const (
	ours      owner = "this host's"
	elsewhere owner = "another's"
	unclear   owner = "unclear"
)

// whose says whose an address is. A host with only private addresses is behind somebody who translates them, and can't tell.
func (a addresses) whose(addr netip.Addr) owner {
	same := func(other netip.Addr) bool { return other.Is4() == addr.Is4() && public(other) }
	switch {
	case slices.Contains(a.local, addr), slices.Contains(a.public, addr):
		return ours
	case a.err != nil:
		return unclear
	case addr.Is6(), slices.ContainsFunc(a.public, same), slices.ContainsFunc(a.local, same), !public(addr):
		return elsewhere
	}
	return unclear
}

// apart are addresses that are set apart for other uses than the internet's (IANA's special-purpose registries, RFC 6890), beside
// those that net/netip knows: carriers that translate (RFC 6598), protocols, documentation (RFC 5737, 3849, 9637), measuring (RFC 2544)
// and the reserved rest.
var apart = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
}

// public reports whether an address can be reached from the whole internet.
func public(addr netip.Addr) bool {
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !slices.ContainsFunc(apart, func(p netip.Prefix) bool { return p.Contains(addr) })
}
