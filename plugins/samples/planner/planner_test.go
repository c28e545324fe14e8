package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/plugins/sdk"
	"github.com/onehost/edge/plugins/sdk/fixture"
	"github.com/onehost/edge/plugins/sdk/sdktest"
)

// told is a planner that writes to an operator.
var told = planner{operator: "ops@example.com"}

// handled has the planner handle the webhooks in testdata by these names.
func handled(t *testing.T, host *sdktest.Host, names ...string) (result sdk.Result) {
	t.Helper()
	for _, name := range names {
		result = host.Webhook(told.handle, sdktest.Load(t, "testdata/"+name+".json"))
	}
	return result
}

// kept is what is under key.
func kept[T any](t *testing.T, host *sdktest.Host, key string) (v T) {
	t.Helper()
	data, ok := host.Get(key)
	if !ok {
		t.Fatalf("there is no %s, but %v", key, host.Keys())
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// subjects are those of the mails that were sent.
func subjects(host *sdktest.Host) string {
	var all []string
	for _, m := range host.Mails() {
		all = append(all, m.Subject)
	}
	return strings.Join(all, "; ")
}

func TestARepositorysEventsAreCountedOnce(t *testing.T) {
	host := sdktest.New(t)
	if got := handled(t, host, "github-push", "github-issue", "github-push"); got.Kind != sdk.KindOK {
		t.Fatal(got)
	}
	h := kept[history](t, host, "repository/acme/shop")
	if h.Counts["push"] != 1 || h.Counts["issues"] != 1 || len(h.Last) != 2 {
		t.Errorf("got %+v", h)
	}
	if h.Last[0].Summary != "bob opened #7: It does not work" || h.Last[1].Summary != "ana pushed 2 commits to main" {
		t.Errorf("got %+v", h.Last)
	}
	if c := kept[counts](t, host, totalsKey); c["github/push"] != 1 || c["github/issues"] != 1 {
		t.Errorf("got %v", c)
	}
}

func TestOnlyTheLastEventsAreKept(t *testing.T) {
	host := sdktest.New(t)
	event := sdktest.Load(t, "testdata/github-push.json")
	for i := range keepLast + 5 {
		event.EventID = fmt.Sprint(i)
		host.Webhook(told.handle, event)
	}
	if h := kept[history](t, host, "repository/acme/shop"); h.Counts["push"] != keepLast+5 || len(h.Last) != keepLast || h.Last[0].ID != "github-14" {
		t.Errorf("got %+v", h)
	}
}

func TestAProcessThatEndedBetweenPuttingAndNotingDoesNotCountTwice(t *testing.T) {
	host := sdktest.New(t)
	handled(t, host, "github-push")
	before := kept[history](t, host, "repository/acme/shop")
	again := sdktest.New(t) // that has forgotten that it was done
	data, _ := host.Get("repository/acme/shop")
	again.Put("repository/acme/shop", data)
	handled(t, again, "github-push")
	if after := kept[history](t, again, "repository/acme/shop"); after.Counts["push"] != before.Counts["push"] {
		t.Errorf("got %+v", after)
	}
}

func TestWhatIsInProgressElsewhereIsTriedAgain(t *testing.T) {
	host := sdktest.New(t)
	host.Crash("mail/evt_2invoice")
	if got := handled(t, host, "stripe-invoice"); got.Kind != sdk.KindRetry {
		t.Error(got)
	}
	host.Advance(time.Minute)
	if got := handled(t, host, "stripe-invoice"); got.Kind != sdk.KindOK || subjects(host) != "Paid: 12.00 EUR by eve@example.com" {
		t.Error(got, subjects(host))
	}
	if c := kept[customer](t, host, "customer/cus_1"); c.Paid["eur"] != 1200 {
		t.Errorf("got %+v", c)
	}
}

func TestACustomersPlanFollowsStripe(t *testing.T) {
	host := sdktest.New(t)
	handled(t, host, "stripe-checkout", "stripe-invoice", "stripe-checkout", "stripe-invoice")
	c := kept[customer](t, host, "customer/cus_1")
	if c.Status != "active" || c.Plan != "pro" || c.Email != "eve@example.com" || c.Paid["eur"] != 1200 {
		t.Errorf("got %+v", c)
	}
	handled(t, host, "stripe-cancelled")
	if c := kept[customer](t, host, "customer/cus_1"); c.Status != "cancelled" || c.Email != "eve@example.com" {
		t.Errorf("got %+v", c)
	}
	if want := "Paid: 12.00 EUR by eve@example.com; Cancelled: cus_1"; subjects(host) != want {
		t.Errorf("told %q", subjects(host))
	}
	if m := host.Mails()[0]; m.To[0] != told.operator || m.ID != "planner-evt_2invoice" || !strings.Contains(m.Text, "Invoice: A-0001") {
		t.Errorf("got %+v", m)
	}
}

func TestAnOldEventThatComesLateDoesNotBringACustomerBack(t *testing.T) {
	host := sdktest.New(t)
	handled(t, host, "stripe-cancelled", "stripe-invoice")
	if c := kept[customer](t, host, "customer/cus_1"); c.Status != "cancelled" || c.Paid["eur"] != 1200 {
		t.Errorf("got %+v", c)
	}
}

func TestWithoutAnOperatorNobodyIsWrittenTo(t *testing.T) {
	host := sdktest.New(t)
	host.May = nil
	if got := host.Webhook(planner{}.handle, sdktest.Load(t, "testdata/stripe-invoice.json")); got.Kind != sdk.KindOK || len(host.Mails()) != 0 {
		t.Error(got)
	}
	if got := host.Job("digest", planner{}.digest, time.Now()); got.Kind != sdk.KindSkip {
		t.Error(got)
	}
}

func TestOtherSourcesAreCountedByTheirTypesFirstWord(t *testing.T) {
	host := sdktest.New(t)
	if got := handled(t, host, "standard-user"); got.Kind != sdk.KindOK {
		t.Fatal(got)
	}
	if h := kept[history](t, host, "events/auth/user"); h.Counts["user.created"] != 1 {
		t.Errorf("got %+v", h)
	}
}

func TestWhatThePlannerHasNoUseForIsSkippedOrFails(t *testing.T) {
	header := []fixture.Field{{Name: "X-GitHub-Event", Value: "push"}}
	for name, is := range map[string]struct {
		event fixture.Event
		want  sdk.Kind
	}{
		"a ping":             {sdktest.Load(t, "testdata/github-ping.json"), sdk.KindSkip},
		"another of Stripe":  {sdktest.Load(t, "testdata/stripe-other.json"), sdk.KindSkip},
		"of another":         {fixture.Event{Body: []byte(`{"a":1}`)}, sdk.KindSkip},
		"no JSON":            {fixture.Event{Body: []byte("a=1")}, sdk.KindSkip},
		"no JSON of GitHub":  {fixture.Event{Header: header, Body: []byte("a=1")}, sdk.KindFail},
		"about no repo":      {fixture.Event{Header: header, Body: []byte("{}")}, sdk.KindSkip},
		"too long a name":    {fixture.Event{Header: header, Body: []byte(`{"repository":{"full_name":"` + strings.Repeat("x", 300) + `"}}`)}, sdk.KindFail},
		"an unpaid checkout": {fixture.Event{Body: []byte(`{"object":"event","type":"checkout.session.completed","data":{"object":{"customer":"c","payment_status":"unpaid"}}}`)}, sdk.KindSkip},
		"a broken invoice":   {fixture.Event{Body: []byte(`{"object":"event","type":"invoice.paid","data":{"object":{"customer":7}}}`)}, sdk.KindFail},
	} {
		host := sdktest.New(t)
		is.event.Source = "s"
		if got := host.Webhook(told.handle, is.event); got.Kind != is.want {
			t.Errorf("%s: %v", name, got)
		}
		if keys := host.Keys(); len(keys) > 0 {
			t.Errorf("%s: kept %v", name, keys)
		}
	}
}

func TestADigestSaysWhatIsNewOnce(t *testing.T) {
	host := sdktest.New(t)
	due := time.Date(2026, 1, 3, 3, 0, 0, 0, time.UTC)
	if got := host.Job("digest", told.digest, due); got.Kind != sdk.KindSkip {
		t.Error(got)
	}
	handled(t, host, "github-push", "standard-user")
	for range 2 {
		host.Job("digest", told.digest, due)
	}
	handled(t, host, "github-issue")
	host.Job("digest", told.digest, due.Add(24*time.Hour))
	mails := host.Mails()
	if len(mails) != 2 {
		t.Fatalf("got %+v", mails)
	}
	if want := "     1  auth/user (1 in all)\n     1  github/push (1 in all)\n"; mails[0].Text != want {
		t.Errorf("got %q", mails[0].Text)
	}
	if want := "Since Sat, 03 Jan 2026 03:00:00 UTC:\n\n     1  github/issues (1 in all)\n"; mails[1].Text != want {
		t.Errorf("got %q", mails[1].Text)
	}
}

func TestNamesOfOthersDoNotFillTheStore(t *testing.T) {
	c := make(counts)
	for i := range 2 * maxCounts {
		c.add(fmt.Sprintf("%d%s", i, strings.Repeat("é", 1000)))
	}
	data, err := json.Marshal(c)
	if err != nil || len(data) > 64<<10 || c["others"] != maxCounts {
		t.Errorf("%v, %d bytes, %d others", err, len(data), c["others"])
	}
}

func TestMoneyIsWrittenAsPeopleDo(t *testing.T) {
	for want, is := range map[string]struct {
		amount   int64
		currency string
	}{"12.05 EUR": {1205, "eur"}, "0.99 USD": {99, "usd"}, "500 JPY": {500, "jpy"}, "1.250 KWD": {1250, "kwd"}} {
		if got := money(is.amount, is.currency); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func FuzzHandle(f *testing.F) {
	f.Add("push", "", `{"repository":{"full_name":"a/b"},"issue":null}`)
	f.Add("", "msg_1", `{"type":"a.b"}`)
	f.Add("", "", `{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{"customer":"c","amount_paid":1}}}`)
	f.Fuzz(func(t *testing.T, github, standard, body string) {
		event := fixture.Event{Source: "s", EventID: "e", Body: []byte(body),
			Header: []fixture.Field{{Name: "X-GitHub-Event", Value: github}, {Name: "webhook-id", Value: standard}}}
		if got := sdktest.New(t).Webhook(told.handle, event); got.Kind == sdk.KindRetry {
			t.Fatalf("it would be tried again for ever: %v", got)
		}
	})
}
