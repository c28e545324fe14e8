package route53

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTheMostSpecificPublicZoneIsTaken(t *testing.T) {
	list := []zone{
		{"Z1", "example.com.", false}, {"Z2", "a.example.com.", false}, {"Z3", "b.example.com.", true}, {"Z4", "a.example.com.", true},
		{"Z5", "twice.test.", false}, {"Z6", "twice.test.", false}, {"Z7", "sub.twice.test.", false},
	}
	for name, want := range map[string]string{
		"_acme-challenge.example.com.":        "Z1",
		"_acme-challenge.x.a.example.com.":    "Z2",
		"_acme-challenge.b.example.com.":      "Z1",
		"_acme-challenge.notexample.com.":     "no public hosted zone of this account holds _acme-challenge.notexample.com.",
		"_acme-challenge.twice.test.":         "two public hosted zones hostedzone/Z5 (twice.test.) and hostedzone/Z6 (twice.test.)",
		"_acme-challenge.www.sub.twice.test.": "Z7",
	} {
		z, err := choose(list, name)
		if err != nil && strings.Contains(err.Error(), want) || err == nil && z.id == want {
			continue
		}
		t.Errorf("for %s %v, %v is taken, want %s", name, z, err, want)
	}
}

func TestZonesAreKeptAndAskedForAgainWhenOneIsMissing(t *testing.T) {
	name, id := zoneFor(t)
	asked := 0
	account.Intercept(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/hostedzonesbyname") {
			asked++
		}
		return false
	})
	p := newSolver(t, Options{}).provider
	account.CreateZone(t, "private."+name, true)
	for _, asks := range []string{"", "www.", "x.private."} {
		if z, err := p.zoneOf(t.Context(), asks+name); err != nil || z.id != id {
			t.Errorf("%s%s is in %v, %v", asks, name, z, err)
		}
	}
	if asked != 1 {
		t.Errorf("zones were asked for %d times", asked)
	}
	fresh := "new-" + name
	freshID := account.CreateZone(t, fresh, false)
	if z, err := p.zoneOf(t.Context(), fresh); err == nil {
		t.Errorf("%v was found without asking", z)
	}
	p.zones.at = p.zones.at.Add(-zonesRetried - time.Second)
	if z, err := p.zoneOf(t.Context(), fresh); err != nil || z.id != freshID {
		t.Errorf("the new zone is %v, %v", z, err)
	}
	p.zones.at = p.zones.at.Add(-zonesKept - time.Second)
	if _, err := p.zoneOf(t.Context(), fresh); err != nil || asked != 3 {
		t.Errorf("zones were asked for %d times: %v", asked, err)
	}
}

func TestAllPagesOfZonesAreRead(t *testing.T) {
	theAccount(t)
	account.Intercept(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/hostedzonesbyname") {
			return false
		}
		page, more := "a", "<IsTruncated>true</IsTruncated><NextDNSName>b.test.</NextDNSName><NextHostedZoneId>ZB</NextHostedZoneId>"
		if q := r.URL.Query(); q.Get("dnsname") == "b.test." && q.Get("hostedzoneid") == "ZB" {
			page, more = "b", "<IsTruncated>false</IsTruncated>"
		}
		fmt.Fprintf(w, `<ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>
			<HostedZone><Id>/hostedzone/Z%s</Id><Name>%s.test.</Name></HostedZone></HostedZones>%s</ListHostedZonesByNameResponse>`, strings.ToUpper(page), page, more)
		return true
	})
	p := newSolver(t, Options{}).provider
	for _, name := range []string{"a", "b"} {
		if z, err := p.zoneOf(t.Context(), "www."+name+".test"); err != nil || z.id != "Z"+strings.ToUpper(name) {
			t.Errorf("%s.test is %v, %v", name, z, err)
		}
	}
}

func TestTheConfiguredZoneIsTheOnlyOne(t *testing.T) {
	name, id := zoneFor(t)
	private := account.CreateZone(t, name, true)
	account.CreateZone(t, name, false) // of the same name: only the id tells them apart
	for configured, want := range map[string]string{
		"/hostedzone/" + id: "",
		private:             "is private",
		"ZNOSUCHZONE":       "there is no such hosted zone",
	} {
		err := newSolver(t, Options{HostedZoneID: configured}).Present(t.Context(), challenge(name, 1))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("with %s: %v", configured, err)
		}
	}
	expect(t, id, "_acme-challenge."+name, answers(name, 1)...)
	err := newSolver(t, Options{HostedZoneID: id}).Present(t.Context(), challenge("other.test", 1))
	if err == nil || !strings.Contains(err.Error(), "_acme-challenge.other.test. is not in") || !strings.Contains(err.Error(), id) {
		t.Errorf("a name of another zone: %v", err)
	}
}
