package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"github.com/onehost/edge/core/config"
)

// ways looks at each challenge by which the name may be proved. One that is open is enough: then what is wrong with the
// others is no more than a warning.
func (in *inspection) ways(ctx context.Context, s *subject) []Finding {
	var findings []Finding
	open := false
	if slices.Contains(s.ways, config.HTTP01) || slices.Contains(s.ways, config.TLSALPN01) {
		findings, open = in.knocks(ctx, s)
	}
	if slices.Contains(s.ways, config.DNS01) {
		zone, credentials := in.zone(ctx, s.name), in.credentials(ctx)
		findings = append(findings, zone, credentials)
		open = open || zone.Result == OK && credentials.Result == OK
	}
	for i, f := range findings {
		if open && f.Result == Fail {
			findings[i].Result = Warn
			findings[i].Seen += " (it can be proved another way)"
		}
	}
	return findings
}

// knocks looks at the name's addresses and at who answers there. A way is open if edge answers at every address.
func (in *inspection) knocks(ctx context.Context, s *subject) (findings []Finding, open bool) {
	addrs, f := in.resolved(ctx, s)
	findings = append(findings, f)
	var ports []string
	for _, way := range []string{config.HTTP01, config.TLSALPN01} {
		if slices.Contains(s.ways, way) {
			ports = append(ports, way)
		}
	}
	answers := make([][]answer, len(ports)) // by port and address
	var all sync.WaitGroup
	for i, way := range ports {
		answers[i] = make([]answer, len(addrs))
		for j, addr := range addrs {
			all.Go(func() { answers[i][j] = in.knock(ctx, s.name, addr, way) })
		}
	}
	own := in.ownAddresses(ctx)
	all.Wait()

	misled := false
	for j, addr := range addrs {
		reached := slices.ContainsFunc(answers, func(of []answer) bool { return of[j] == byEdge || of[j] == byTLS })
		if f, ok := in.strange(own, s, addr, reached); ok {
			findings = append(findings, f)
			misled = misled || f.Result == Fail
		}
	}
	for i, way := range ports {
		f := in.port(own, addrs, answers[i], way)
		if len(addrs) > 0 {
			findings = append(findings, f)
		}
		open = open || len(addrs) > 0 && f.Result == OK && !misled
	}
	return findings, open
}

// strange finds an address that leads a CA elsewhere. The classic is an old AAAA record: CAs try IPv6 first.
func (in *inspection) strange(own addresses, s *subject, addr netip.Addr, reached bool) (Finding, bool) {
	record := "A"
	if addr.Is6() {
		record = "AAAA"
	}
	f := Finding{Check: "address"}
	atPublicCA := slices.ContainsFunc(s.issuers, func(a *authority) bool { return a.acme() && a.issuer.Name != "" })
	whose := own.whose(addr)
	switch {
	case atPublicCA && !public(addr):
		f.Result, f.Seen = Fail, fmt.Sprintf("%s is a private address, or one for documentation: a public CA can't come to it", addr)
		f.Do = "point the name at a public address, or prove it by dns-01 (tls.dns), or use issuer local"
	case whose == elsewhere && reached:
		f.Result, f.Seen = Warn, fmt.Sprintf("%s is not an address of this host, and edge, or what looks like it, answers there", addr)
		f.Do = "nothing if that is a load balancer or CDN before this host; if it is another server, change the " + record + " record"
	case whose == elsewhere:
		f.Result, f.Seen = Fail, fmt.Sprintf("%s is not an address of this host%s", addr, also(own, addr))
		f.Do = "change the " + record + " record to an address of this host, or remove it"
	case whose == unclear && !reached:
		f.Result, f.Seen = Unknown, fmt.Sprintf("%s may be this host's: it is behind a translation of addresses", addr)
		f.Do = "compare it with the public address of the router in front, which has to pass on ports 80 and 443"
	default:
		return f, false
	}
	return f, true
}

// also names the addresses that a record could have.
func also(own addresses, addr netip.Addr) string {
	var same []netip.Addr
	for _, a := range slices.Concat(own.public, own.local) {
		if a.Is4() == addr.Is4() && public(a) {
			same = append(same, a)
		}
	}
	switch {
	case len(same) > 0:
		return ", which has " + join(same)
	case addr.Is6():
		return ", which has no IPv6 address"
	}
	return ""
}

// fromHere reminds of what can't be known here.
const fromHere = "seen from this host; a firewall or security group may still stop a CA"

// port judges who answers at a port of all addresses.
func (in *inspection) port(own addresses, addrs []netip.Addr, answers []answer, way string) Finding {
	number, listen := "80", "listen.http"
	if way == config.TLSALPN01 {
		number, listen = "443", "listen.https"
	}
	f := Finding{Check: "port " + number, Result: OK, Seen: string(byEdge) + " (" + fromHere + ")"}
	for i, addr := range addrs {
		g := Finding{Check: f.Check, Seen: fmt.Sprintf("%s at %s", answers[i], addr)}
		whose := own.whose(addr)
		switch answers[i] {
		case byEdge:
			continue
		case byTLS:
			g.Result = OK
			if whose != ours {
				g.Result, g.Do = Unknown, "look whether that is this edge"
			}
		case byOther:
			g.Result, g.Do = Fail, "stop the other server, or have it pass "+challenge+" on to edge"
		case refused:
			g.Result, g.Do = Fail, fmt.Sprintf("start edge, and have %s be :%s or something in front pass that port on", listen, number)
		case silent:
			g.Result, g.Do = Fail, fmt.Sprintf("open TCP port %s in the security group and the firewall to everybody", number)
			if whose == unclear {
				g.Result, g.Do = Unknown, g.Do+"; many routers don't let a host reach itself by its public address, so look from outside as well"
			}
		case cutOff:
			g.Result, g.Do = Fail, "look at what is in front of edge"
			if len(in.Config.Listen.ProxyProtocol) > 0 {
				g.Result, g.Do = Unknown, "look from outside: listen.proxy_protocol may keep this host out"
			}
		default: // no, unlooked
			g.Result, g.Do = Unknown, "look from outside"
		}
		if rank(g.Result) > rank(f.Result) || f.Result == OK && g.Result == OK {
			f = g
		}
	}
	return f
}

// rank orders results from good to bad.
func rank(r Result) int { return slices.Index([]Result{OK, Unknown, Warn, Fail}, r) }

// credentials finds out, once, whether the records of dns-01 could be written.
func (in *inspection) credentials(ctx context.Context) Finding {
	in.awsOnce.Do(func() { in.awsErr = in.aws(ctx) })
	if in.awsErr != nil {
		return Finding{
			Check: "credentials", Result: Fail, Seen: in.awsErr.Error(),
			Do: "give the instance a role that may change the zone; if edge's unit has credentials in its environment, run preflight in the same one",
		}
	}
	return Finding{Check: "credentials", Result: OK, Seen: "there are AWS credentials to write the records of dns-01 with"}
}

// zone finds out whether the records of dns-01 would be seen: whether Route 53 serves the zone that the name is in.
func (in *inspection) zone(ctx context.Context, name string) Finding {
	f := Finding{Check: "zone", Result: Unknown}
	name = strings.TrimPrefix(name, "*.")
	for zone := name; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		records, err := in.ask(ctx, zone, dns.TypeNS)
		if err != nil && !errors.Is(err, errNoName) {
			f.Seen, f.Do = err.Error(), "make the resolvers in /etc/resolv.conf answer this host"
			return f
		}
		var servers []string
		for _, rr := range records {
			if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, dns.Fqdn(zone)) {
				servers = append(servers, strings.ToLower(strings.TrimSuffix(ns.Ns, ".")))
			}
		}
		switch {
		case len(servers) == 0:
		case slices.ContainsFunc(servers, func(s string) bool { return strings.Contains(s, ".awsdns-") }):
			f.Result, f.Seen = OK, "Route 53 serves the zone "+zone
			return f
		default:
			f.Result, f.Seen = Warn, fmt.Sprintf("the zone %s is served by %s, and not by Route 53", zone, strings.Join(servers, ", "))
			f.Do = "move the zone to Route 53, or delegate _acme-challenge." + name + " to a zone there"
			return f
		}
	}
	f.Result, f.Seen, f.Do = Fail, "the DNS has no zone that the name is in", "register the domain, or look at its delegation"
	return f
}
