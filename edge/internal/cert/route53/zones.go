package route53

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

const (
	zonesKept    = 10 * time.Minute // how long the list of zones is believed
	zonesRetried = 30 * time.Second // how old it has to be for a name without a zone to have it asked for again
	zonePages    = 50               // of a hundred zones each
)

// zone is a hosted zone. Names end with a dot, in lower case.
type zone struct {
	id, name string
	private  bool
}

func (z zone) String() string { return fmt.Sprintf("hostedzone/%s (%s)", z.id, z.name) }

func (z zone) holds(fqdn string) bool { return fqdn == z.name || strings.HasSuffix(fqdn, "."+z.name) }

// zones are those of the account, or the only one that may be used.
type zones struct {
	only string // an id, or empty

	turn turn // guards what follows
	list []zone
	at   time.Time
}

// forget has the zones asked for again: one of them is gone.
func (z *zones) forget(ctx context.Context) {
	if z.turn.take(ctx) == nil {
		z.at = time.Time{}
		z.turn.give()
	}
}

// zoneOf finds the public zone whose name servers answer for a name: the most specific one.
func (p *Provider) zoneOf(ctx context.Context, fqdn string) (zone, error) {
	fqdn = canonical(fqdn)
	z := &p.zones
	if err := z.turn.take(ctx); err != nil {
		return zone{}, err
	}
	defer z.turn.give()
	found, err := choose(z.list, fqdn)
	if age := time.Since(z.at); age > zonesKept || err != nil && age > zonesRetried {
		list, failed := p.loadZones(ctx)
		if failed != nil {
			return zone{}, failed
		}
		z.list, z.at = list, time.Now()
		found, err = choose(list, fqdn)
	}
	if err != nil && z.only != "" {
		err = fmt.Errorf("route53: %s is not in %v, the zone that tls.dns.route53.hosted_zone_id names: correct it, or leave it out", fqdn, z.list)
	}
	return found, err
}

func (p *Provider) loadZones(ctx context.Context) ([]zone, error) {
	if p.zones.only != "" {
		return p.loadZone(ctx, p.zones.only)
	}
	var list []zone
	in := &api.ListHostedZonesByNameInput{MaxItems: aws.Int32(100)}
	for range zonePages {
		out, err := call(ctx, p, "route53:ListHostedZonesByName", "*", p.client.ListHostedZonesByName, in)
		if err != nil {
			return nil, err
		}
		for _, z := range out.HostedZones {
			list = append(list, zoneFrom(&z))
		}
		if !out.IsTruncated {
			return list, nil
		}
		in.DNSName, in.HostedZoneId = out.NextDNSName, out.NextHostedZoneId
	}
	return nil, fmt.Errorf("route53: the account has more than %d hosted zones: say in tls.dns.route53.hosted_zone_id which one to use", zonePages*100)
}

func (p *Provider) loadZone(ctx context.Context, id string) ([]zone, error) {
	out, err := call(ctx, p, "route53:GetHostedZone", "hostedzone/"+id, p.client.GetHostedZone, &api.GetHostedZoneInput{Id: &id})
	if err != nil {
		return nil, err
	}
	z := zoneFrom(out.HostedZone)
	if z.private {
		return nil, fmt.Errorf("route53: %v, the zone that tls.dns.route53.hosted_zone_id names, is private: a CA sees public zones only", z)
	}
	return []zone{z}, nil
}

func zoneFrom(z *types.HostedZone) zone {
	if z == nil {
		return zone{}
	}
	return zone{
		id:      strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/"),
		name:    canonical(aws.ToString(z.Name)),
		private: z.Config != nil && z.Config.PrivateZone,
	}
}

// choose picks the public zone with the longest name that a name is in. Two of the same name are left to the operator: only one of
// them is the one that the parent zone delegates to.
func choose(list []zone, fqdn string) (zone, error) {
	in := slices.DeleteFunc(slices.Clone(list), func(z zone) bool { return z.private || z.id == "" || !z.holds(fqdn) })
	if len(in) == 0 {
		return zone{}, fmt.Errorf("route53: no public hosted zone of this account holds %s: create one, or give edge credentials of the account that has it", fqdn)
	}
	slices.SortStableFunc(in, func(a, b zone) int { return cmp.Compare(len(b.name), len(a.name)) })
	if len(in) > 1 && in[0].name == in[1].name {
		return zone{}, fmt.Errorf("route53: there are two public hosted zones %v and %v: say in tls.dns.route53.hosted_zone_id which one the domain's registrar points to", in[0], in[1])
	}
	return in[0], nil
}

// canonical is a name as zones are compared by: in lower case, with the dot at its end.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }
