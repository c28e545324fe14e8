package route53test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

const (
	namespace = "https://route53.amazonaws.com/doc/2013-04-01/"
	bodyLimit = 1 << 20
)

// key is what a set is found by. Names end with a dot.
type key struct{ name, kind string }

// set is all records of a name and type.
type set struct {
	ttl    int64
	values []string
}

func (s set) same(o set) bool { // values are compared in any order
	return s.ttl == o.ttl && slices.Equal(slices.Sorted(slices.Values(s.values)), slices.Sorted(slices.Values(o.values)))
}

type batch struct {
	Changes []struct {
		Action string
		Set    struct {
			Name    string
			Type    string
			TTL     int64
			Records []string `xml:"ResourceRecords>ResourceRecord>Value"`
		} `xml:"ResourceRecordSet"`
	} `xml:"ChangeBatch>Changes>Change"`
}

type errorResponse struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

type invalidChangeBatch struct {
	XMLName   xml.Name `xml:"InvalidChangeBatch"`
	Namespace string   `xml:"xmlns,attr"`
	Messages  []string `xml:"Messages>Message"`
	RequestID string   `xml:"RequestId"`
}

type changed struct {
	XMLName     xml.Name `xml:"ChangeResourceRecordSetsResponse"`
	Namespace   string   `xml:"xmlns,attr"`
	ID          string   `xml:"ChangeInfo>Id"`
	Status      string   `xml:"ChangeInfo>Status"`
	SubmittedAt string   `xml:"ChangeInfo>SubmittedAt"`
}

func writeXML(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(body)
}

// change carries out ChangeResourceRecordSets as Route 53 does: moto only keeps what comes of it.
func (s *Server) change(w http.ResponseWriter, r *http.Request) {
	var b batch
	if err := xml.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&b); err != nil || len(b.Changes) == 0 {
		Refuse(w, http.StatusBadRequest, "InvalidInput", "the batch cannot be read, or has no changes")
		return
	}
	parts := strings.Split(r.URL.Path, "/") // /2013-04-01/hostedzone/ID/rrset
	zoneID := parts[min(3, len(parts)-1)]
	s.changes.Lock()
	defer s.changes.Unlock()
	before, err := s.sets(r.Context(), zoneID)
	if err != nil {
		Refuse(w, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: "+zoneID)
		return
	}
	after, faults := b.apply(before)
	if len(faults) > 0 {
		writeXML(w, http.StatusBadRequest, invalidChangeBatch{Namespace: namespace, Messages: faults, RequestID: "test"})
		return
	}
	if err := s.store(r.Context(), zoneID, before, after); err != nil {
		writeXML(w, http.StatusBadRequest, invalidChangeBatch{Namespace: namespace, Messages: []string{err.Error()}, RequestID: "test"})
		return
	}
	writeXML(w, http.StatusOK, changed{Namespace: namespace, ID: "/change/C0123456789TEST", Status: "PENDING", SubmittedAt: "2026-01-01T00:00:00Z"})
}

// apply says what the sets are after the batch, or what is wrong with it.
func (b *batch) apply(before map[key]set) (after map[key]set, faults []string) {
	after = maps.Clone(before)
	for _, c := range b.Changes {
		k := key{canonical(c.Set.Name), c.Set.Type}
		named := fmt.Sprintf("resource record set [name='%s', type='%s']", k.name, k.kind)
		asked := set{c.Set.TTL, c.Set.Records}
		old, exists := after[k]
		switch {
		case c.Action == "CREATE" && exists:
			faults = append(faults, "Tried to create "+named+" but it already exists")
		case c.Action == "DELETE" && !exists:
			faults = append(faults, "Tried to delete "+named+" but it was not found")
		case c.Action == "DELETE" && !old.same(asked):
			faults = append(faults, "Tried to delete "+named+" but the values provided do not match the current values")
		case c.Action == "DELETE":
			delete(after, k)
		default:
			after[k] = asked
		}
	}
	return after, faults
}

// store has moto keep the difference between two states, and tells of TXT records that changed.
func (s *Server) store(ctx context.Context, zoneID string, before, after map[key]set) error {
	var changes []types.Change
	add := func(action types.ChangeAction, k key, sent set) {
		records := &types.ResourceRecordSet{Name: aws.String(k.name), Type: types.RRType(k.kind), TTL: aws.Int64(sent.ttl)}
		for _, value := range sent.values {
			records.ResourceRecords = append(records.ResourceRecords, types.ResourceRecord{Value: aws.String(value)})
		}
		changes = append(changes, types.Change{Action: action, ResourceRecordSet: records})
	}
	var touched []key
	for k, old := range before {
		if _, kept := after[k]; !kept {
			add(types.ChangeActionDelete, k, old)
			touched = append(touched, k)
		}
	}
	for k, fresh := range after {
		if old, was := before[k]; !was || !old.same(fresh) {
			add(types.ChangeActionUpsert, k, fresh)
			touched = append(touched, k)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if _, err := s.client.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: &zoneID, ChangeBatch: &types.ChangeBatch{Changes: changes}}); err != nil {
		return err
	}
	_, changed := s.hooks()
	for _, k := range touched {
		if k.kind == "TXT" && changed != nil {
			changed(k.name, texts(after[k]))
		}
	}
	return nil
}

// sets reads what moto has in a zone.
func (s *Server) sets(ctx context.Context, zoneID string) (map[key]set, error) {
	all := make(map[key]set)
	pages := route53.NewListResourceRecordSetsPaginator(s.client, &route53.ListResourceRecordSetsInput{HostedZoneId: &zoneID})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.ResourceRecordSets {
			one := set{ttl: aws.ToInt64(r.TTL)}
			for _, record := range r.ResourceRecords {
				one.values = append(one.values, aws.ToString(record.Value))
			}
			all[key{canonical(aws.ToString(r.Name)), string(r.Type)}] = one
		}
	}
	return all, nil
}

func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }

// texts are values without their quotes, of one string each.
func texts(s set) []string {
	out := make([]string, 0, len(s.values))
	for _, value := range s.values {
		out = append(out, strings.Trim(value, `"`))
	}
	return out
}
