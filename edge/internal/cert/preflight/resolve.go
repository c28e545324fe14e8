package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// queryTimeout bounds one question to one resolver.
const queryTimeout = 2 * time.Second

// A refusedError is an answer that says nothing of the name: SERVFAIL, mostly.
type refusedError struct{ rcode string }

func (e *refusedError) Error() string { return "the resolver answers " + e.rcode }

// errNoName is NXDOMAIN: the DNS has no such name.
var errNoName = errors.New("the DNS has no such name")

// ask asks the system's resolvers, and not its hosts file: a CA sees the DNS alone.
func (w world) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(1232, false)
	err := errors.New("this system names no resolver in /etc/resolv.conf")
	for _, server := range w.resolvers {
		var answer *dns.Msg
		if answer, err = exchange(ctx, server, question); err != nil {
			continue
		}
		switch answer.Rcode {
		case dns.RcodeSuccess:
			return answer.Answer, nil
		case dns.RcodeNameError:
			return nil, errNoName
		}
		err = &refusedError{dns.RcodeToString[answer.Rcode]}
	}
	return nil, err
}

// exchange asks one server over UDP, and over TCP what does not fit.
func exchange(ctx context.Context, server string, question *dns.Msg) (*dns.Msg, error) {
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: queryTimeout}
		answer, _, err := client.ExchangeContext(ctx, question, server)
		switch {
		case err != nil:
			return nil, fmt.Errorf("resolver %s: %w", server, err)
		case len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, question.Question[0].Name) || answer.Question[0].Qtype != question.Question[0].Qtype:
			return nil, fmt.Errorf("resolver %s answers another question", server)
		case !answer.Truncated:
			return answer, nil
		}
	}
	return nil, fmt.Errorf("resolver %s: the answer does not fit", server)
}

// maxAddresses is how many addresses of a name are looked at.
const maxAddresses = 8

// lookup returns the addresses of a name, IPv6 first, as CAs prefer it.
func (w world) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{addr}, nil
	}
	var addresses []netip.Addr
	for _, kind := range []uint16{dns.TypeAAAA, dns.TypeA} {
		records, err := w.ask(ctx, name, kind)
		if err != nil {
			return nil, err
		}
		for _, rr := range records {
			var ip net.IP
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if addr, ok := netip.AddrFromSlice(ip); ok && len(addresses) < maxAddresses {
				addresses = append(addresses, addr.Unmap())
			}
		}
	}
	slices.SortStableFunc(addresses, func(a, b netip.Addr) int { return b.BitLen() - a.BitLen() })
	return addresses, nil
}

// resolved finds the addresses of a name. Without any the CA has nowhere to look.
func (in *inspection) resolved(ctx context.Context, s *subject) ([]netip.Addr, Finding) {
	addresses, err := in.lookup(ctx, s.name)
	f := Finding{Check: "name"}
	switch {
	case errors.Is(err, errNoName), err == nil && len(addresses) == 0:
		f.Result, f.Seen = Fail, "the DNS has no address for it"
		f.Do = in.recordToCreate(ctx)
	case errors.As(err, new(*refusedError)):
		f.Result, f.Seen = Fail, err.Error()
		f.Do = "look at the delegation and DNSSEC of the domain (dnsviz.net shows both): a CA gets the same answer"
	case err != nil:
		f.Result, f.Seen, f.Do = Unknown, err.Error(), "make the resolvers in /etc/resolv.conf answer this host"
	default:
		f.Result, f.Seen = OK, join(addresses)
	}
	return addresses, f
}

// recordToCreate says which record the name should have, as far as that is known: behind a router the host can't know it.
func (in *inspection) recordToCreate(ctx context.Context) string {
	own := in.ownAddresses(ctx)
	candidates := slices.DeleteFunc(slices.Concat(own.public, own.local), func(a netip.Addr) bool { return !public(a) })
	if i := slices.IndexFunc(candidates, netip.Addr.Is4); i >= 0 {
		return "create an A record with the public address of this host, " + candidates[i].String()
	}
	if len(candidates) > 0 {
		return "create an AAAA record with the public address of this host, " + candidates[0].String()
	}
	return "create an A record with the address at which the internet reaches this host: it has only private ones itself, so that of the router " +
		"or load balancer that passes ports 80 and 443 on to it; for a name within a private network use issuer local"
}

func join[T fmt.Stringer](list []T) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, ", ")
}
