package route53

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/libdns/libdns"
)

const (
	defaultTTL   = time.Minute // of a challenge's records: they live for a minute or two
	syncTimeout  = 2 * time.Minute
	syncInterval = 2 * time.Second // between the first looks at whether all name servers have a change
	syncSlowest  = 8 * time.Second // between the last
)

// Change is the ProviderData of an appended record.
type Change struct {
	ID string // such as /change/C0123456789ABC, to be waited for with Provider.Wait
}

// AppendRecords adds TXT records to a zone, named as libdns does ("example.com."), beside the values that are there. It returns when Route 53
// has taken them: Wait waits until they are served. A record with no TTL gets one of 60 s; the TTL is that of all values of the name.
//
// When it fails, the records returned are those added before.
func (p *Provider) AppendRecords(ctx context.Context, zoneName string, records []libdns.Record) ([]libdns.Record, error) {
	var added []libdns.Record
	err := p.each(ctx, zoneName, records, func(z zone, fqdn string, r libdns.RR) error {
		if r.TTL <= 0 {
			r.TTL = defaultTTL
		}
		// A value that is there already is written again: only a change of one's own can be waited for.
		id, err := p.change(ctx, z, fqdn, func(old recordSet) (recordSet, error) { return old.with(r.Data, int64(r.TTL.Seconds())), nil })
		if err != nil {
			return err
		}
		p.log.Debug("route53: TXT record added", "name", fqdn, "zone", z.id, "change", id)
		added = append(added, libdns.TXT{Name: r.Name, TTL: r.TTL, Text: r.Data, ProviderData: Change{id}})
		return nil
	})
	return added, err
}

// DeleteRecords removes TXT records from a zone by name and text, and leaves the other values of the name. Records that are not
// there are passed over. TTLs are not compared: in Route 53 one belongs to all values of a name, and the last writer chose it.
//
// When it fails, the records returned are those removed before.
func (p *Provider) DeleteRecords(ctx context.Context, zoneName string, records []libdns.Record) ([]libdns.Record, error) {
	var deleted []libdns.Record
	err := p.each(ctx, zoneName, records, func(z zone, fqdn string, r libdns.RR) error {
		id, err := p.change(ctx, z, fqdn, func(old recordSet) (recordSet, error) {
			if !old.has(r.Data) {
				return old, errNothingToDo
			}
			return old.without(r.Data), nil
		})
		if errors.Is(err, errNothingToDo) {
			return nil
		}
		if err != nil {
			return err
		}
		p.log.Debug("route53: TXT record removed", "name", fqdn, "zone", z.id, "change", id)
		deleted = append(deleted, libdns.TXT{Name: r.Name, TTL: r.TTL, Text: r.Data, ProviderData: Change{id}})
		return nil
	})
	return deleted, err
}

// each does something for every record of a zone, until it fails.
func (p *Provider) each(ctx context.Context, zoneName string, records []libdns.Record, do func(z zone, fqdn string, r libdns.RR) error) error {
	z, err := p.zoneOf(ctx, zoneName)
	if err != nil {
		return err
	}
	if z.name != canonical(zoneName) {
		return fmt.Errorf("route53: %s is no hosted zone, it is in %v", zoneName, z)
	}
	for _, record := range records {
		r := record.RR()
		if r.Type != "TXT" || r.Data == "" {
			return fmt.Errorf("route53: a record of type %q and with the text %q for %q: only TXT records with a text can be changed", r.Type, r.Data, r.Name)
		}
		if err := do(z, canonical(libdns.AbsoluteName(r.Name, z.name)), r); err != nil {
			var gone *types.NoSuchHostedZone
			if errors.As(err, &gone) {
				p.zones.forget(ctx)
			}
			return err
		}
	}
	return nil
}

// Wait returns when all name servers of Route 53 have a change, within two minutes. They usually have it within one.
func (p *Provider) Wait(ctx context.Context, c Change) error {
	ctx, cancel := context.WithTimeoutCause(ctx, syncTimeout, fmt.Errorf("not all name servers had it within %v", syncTimeout))
	defer cancel()
	for interval := p.syncInterval; ; interval = min(interval*3/2, syncSlowest) {
		out, err := call(ctx, p, "route53:GetChange", "change/*", p.client.GetChange, &api.GetChangeInput{Id: aws.String(c.ID)})
		if err != nil {
			return err
		}
		if out.ChangeInfo != nil && out.ChangeInfo.Status == types.ChangeStatusInsync {
			return nil
		}
		if err := pause(ctx, interval); err != nil {
			return fmt.Errorf("route53: waiting for %s: %w", c.ID, err)
		}
	}
}
