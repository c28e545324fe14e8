package route53

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

const (
	changeTimeout  = 2 * time.Minute        // of one change, with waiting for its turn and all rounds
	changeRounds   = 12                     // how often a change begins again because another writer was quicker
	changeAsBefore = 2                      // how often in a row it may be refused though the set stays as it was
	changePause    = 100 * time.Millisecond // times the round, and a random part of it
)

// recordSet is all TXT values of one name. With no values there is no set.
type recordSet struct {
	ttl    int64 // seconds
	values []string
}

func (s recordSet) equal(o recordSet) bool { return s.ttl == o.ttl && slices.Equal(s.values, o.values) }

// has reports whether one of the values is this text, however it is written.
func (s recordSet) has(text string) bool { return slices.ContainsFunc(s.values, is(text)) }

// with returns the set with a text in it.
func (s recordSet) with(text string, ttl int64) recordSet {
	if s.has(text) {
		return recordSet{ttl, s.values}
	}
	return recordSet{ttl, append(slices.Clone(s.values), quote(text))}
}

// without returns the set without a text. The others stay as they are written.
func (s recordSet) without(text string) recordSet {
	return recordSet{s.ttl, slices.DeleteFunc(slices.Clone(s.values), is(text))}
}

func is(text string) func(value string) bool {
	return func(value string) bool {
		got, ok := unquote(value)
		return ok && got == text
	}
}

// errNothingToDo ends a change that would change nothing.
var errNothingToDo = errors.New("route53: nothing to do")

// change replaces the TXT set of a name by what edit makes of it, and returns the id of the change. No value that another writer adds or removes
// meanwhile is lost: see the package's doc.
func (p *Provider) change(ctx context.Context, z zone, fqdn string, edit func(recordSet) (recordSet, error)) (changeID string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, changeTimeout, fmt.Errorf("not done within %v", changeTimeout))
	defer cancel()
	turn := p.turnOf(z.id)
	if err := turn.take(ctx); err != nil {
		return "", fmt.Errorf("route53: waiting for other changes of %v: %w", z, err)
	}
	defer turn.give()

	var before recordSet
	asBefore := 0
	for round := range changeRounds {
		old, err := p.read(ctx, z, fqdn)
		if err != nil {
			return "", err
		}
		fresh, err := edit(old)
		if err != nil {
			return "", err
		}
		changeID, err = p.swap(ctx, z, fqdn, old, fresh)
		var refused *types.InvalidChangeBatch
		if !errors.As(err, &refused) {
			return changeID, err
		}
		if round == 0 || !old.equal(before) {
			before, asBefore = old, 0
		}
		if asBefore++; asBefore >= changeAsBefore {
			return "", err // nobody was quicker: what is asked for is not possible
		}
		p.log.Debug("route53: another writer was quicker", "name", fqdn, "round", round+1)
		if err := pause(ctx, time.Duration(1+round)*p.changePause); err != nil {
			return "", fmt.Errorf("route53: changing %s in %v: %w", fqdn, z, err)
		}
	}
	return "", fmt.Errorf("route53: %s in %v was changed by others %d times while it was being changed here: look who writes it", fqdn, z, changeRounds)
}

// pause waits for d and a random part of d more.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read gets the set as it is now, with changes that not all name servers have yet.
func (p *Provider) read(ctx context.Context, z zone, fqdn string) (recordSet, error) {
	out, err := call(ctx, p, "route53:ListResourceRecordSets", z.String(), p.client.ListResourceRecordSets, &api.ListResourceRecordSetsInput{
		HostedZoneId: &z.id, StartRecordName: &fqdn, StartRecordType: types.RRTypeTxt, MaxItems: aws.Int32(1),
	})
	if err != nil {
		return recordSet{}, err
	}
	for _, set := range out.ResourceRecordSets { // the first at or after the name: another one when the name has none
		if set.Type != types.RRTypeTxt || plainName(aws.ToString(set.Name)) != fqdn {
			continue
		}
		if set.SetIdentifier != nil || set.AliasTarget != nil {
			return recordSet{}, fmt.Errorf("route53: the TXT records of %s in %v are an alias or have a routing policy: remove them, a challenge needs simple ones", fqdn, z)
		}
		s := recordSet{ttl: aws.ToInt64(set.TTL)}
		for _, r := range set.ResourceRecords {
			s.values = append(s.values, aws.ToString(r.Value))
		}
		return s, nil
	}
	return recordSet{}, nil
}

// swap replaces a set by another in one batch, which is refused when the old one is not what is there.
func (p *Provider) swap(ctx context.Context, z zone, fqdn string, old, fresh recordSet) (changeID string, err error) {
	var changes []types.Change
	for _, c := range []struct {
		action types.ChangeAction
		set    recordSet
	}{{types.ChangeActionDelete, old}, {types.ChangeActionCreate, fresh}} {
		if len(c.set.values) > 0 {
			changes = append(changes, types.Change{Action: c.action, ResourceRecordSet: c.set.records(fqdn)})
		}
	}
	out, err := call(ctx, p, "route53:ChangeResourceRecordSets", z.String(), p.client.ChangeResourceRecordSets, &api.ChangeResourceRecordSetsInput{
		HostedZoneId: &z.id, ChangeBatch: &types.ChangeBatch{Changes: changes},
	})
	if err != nil || out.ChangeInfo == nil {
		return "", err
	}
	return aws.ToString(out.ChangeInfo.Id), nil
}

func (s recordSet) records(fqdn string) *types.ResourceRecordSet {
	set := &types.ResourceRecordSet{Name: &fqdn, Type: types.RRTypeTxt, TTL: &s.ttl}
	for _, value := range s.values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: &value})
	}
	return set
}
