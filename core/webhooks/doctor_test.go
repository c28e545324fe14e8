package webhooks

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/signature"
)

func TestTheDoctorSaysWhatIsWrongAndWhenItIsCured(t *testing.T) {
	source := github()
	source.Secret = "hushhush"
	s := newStand(t, map[string]config.Webhook{"github": source}, nil)
	report, err := s.Doctor(t.Context(), "github")
	if err != nil || len(report.Diagnoses) != 0 || !strings.Contains(report.Summary, "Nothing has come") {
		t.Error(report, err)
	}
	for i := range 7 {
		s.ask(signed("github", fmt.Sprint(i), "{}"))
	}
	report, err = s.Doctor(t.Context(), "github")
	if err != nil || len(report.Diagnoses) != diagnoses || len(report.Diagnoses[0].Findings) == 0 || report.Outcomes["refused"] != 7 || report.Diagnoses[0].RequestID != "r-6" {
		t.Errorf("%+v %v", report, err)
	}
	if all := fmt.Sprint(report.Diagnoses); strings.Contains(all, "hushhush") {
		t.Error("a secret is shown: ", all)
	}
	s.use(map[string]config.Webhook{"github": github()})
	report, err = s.Doctor(t.Context(), "github")
	if err != nil || !strings.Contains(report.Diagnoses[0].Findings[0], "would be taken") {
		t.Errorf("%+v %v", report, err)
	}
	if _, err := s.Doctor(t.Context(), "gitlab"); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
}

func TestWhatIsShownOfARejectedRequestHasNoCredentials(t *testing.T) {
	s := newStand(t, map[string]config.Webhook{"api": {Verify: config.Verify{Scheme: "bearer", Header: "X-Pass"}, Secret: "right", Body: 1 << 20}}, nil)
	r := signed("api", "e", "body")
	r.URL.RawQuery = "api_key=hush&a=1"
	for _, name := range []string{"X-Pass", "Authorization", "Cookie", "X-Api-Key"} {
		r.Header.Set(name, "hush")
	}
	if w := s.ask(r); w.Code != 401 {
		t.Fatal(w.Code)
	}
	all := s.Rejected("api")
	if len(all) != 1 || strings.Contains(fmt.Sprint(all), "hush") || !strings.Contains(all[0].URL, "a=1") || all[0].Bytes != 4 || all[0].Client != "192.0.2.7" {
		t.Errorf("%+v", all)
	}
}

// rejectedAt is one that was refused at a time, with a body.
func rejectedAt(at time.Time, size int) *rejected {
	return &rejected{Rejection: Rejection{At: at, Reason: "missing"}, request: requestOf(""), bytes: size}
}

func requestOf(body string) *signature.Request { return &signature.Request{Body: []byte(body)} }

func TestRejectedRequestsAreBounded(t *testing.T) {
	var g ring
	now := time.Now()
	for range 3 * keepRejected {
		g.add(rejectedAt(now, 10))
	}
	if len(g.all) != keepRejected || g.bytes != 10*keepRejected {
		t.Error(len(g.all), g.bytes)
	}
	g.add(rejectedAt(now, keepBytes-15))
	if len(g.all) != 2 || g.bytes != keepBytes-5 {
		t.Error(len(g.all), g.bytes)
	}
	g.add(rejectedAt(now, keepBytes+1))
	if last := g.latest()[0]; last.request != nil || len(g.all) != 3 {
		t.Error("one is kept that is larger than all may be")
	}
}

func TestASourceWhoseDeliveriesAreAllRefusedNeedsAPerson(t *testing.T) {
	var g ring
	start := time.Now()
	refused := func(after ...time.Duration) {
		for _, d := range after {
			g.add(rejectedAt(start.Add(d), 1))
		}
	}
	refused(0, time.Minute, 2*time.Minute)
	if why := g.matter(start.Add(3 * time.Minute)); why != "" {
		t.Error("so soon:", why)
	}
	refused(11 * time.Minute)
	if why := g.matter(start.Add(12 * time.Minute)); !strings.Contains(why, "all 4") {
		t.Error(why)
	}
	if why := g.matter(start.Add(3 * time.Hour)); why != "" {
		t.Error("long ago:", why)
	}
	g.accepted()
	refused(12 * time.Minute)
	if why := g.matter(start.Add(13 * time.Minute)); why != "" {
		t.Error("one was accepted:", why)
	}
}

func TestRefusalsAreSaidOnceAMinute(t *testing.T) {
	var s sayer
	start := time.Now()
	got := []int{s.say(start), s.say(start.Add(time.Second)), s.say(start.Add(59 * time.Second)), s.say(start.Add(61 * time.Second)), s.say(start.Add(62 * time.Second))}
	if fmt.Sprint(got) != "[1 0 0 3 0]" {
		t.Error(got)
	}
}

func TestAFloodOfMadeUpCertificatesFloodsNoLog(t *testing.T) {
	source := config.Webhook{Verify: config.Verify{Scheme: "paypal"}, Secret: "4JH86294D6297924G", Body: 1 << 20, Tolerance: 5 * time.Minute}
	s := newStand(t, nil, nil)
	s.Webhooks.client = &http.Client{Transport: nowhere{}}
	s.use(map[string]config.Webhook{"paypal": source})
	for n := range 30 {
		r := httptest.NewRequest(http.MethodPost, "/paypal", strings.NewReader("{}"))
		for name, value := range map[string]string{
			"Transmission-Id": "1", "Transmission-Time": time.Now().UTC().Format(time.RFC3339), "Transmission-Sig": "eA==", "Auth-Algo": "SHA256withRSA",
			"Cert-Url": fmt.Sprintf("https://api.paypal.com/%d", n),
		} {
			r.Header.Set("Paypal-"+name, value)
		}
		if w := s.ask(r); w.Code != http.StatusServiceUnavailable {
			t.Fatal(w.Code, w.Body)
		}
	}
	if n := strings.Count(s.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, s.log)
	}
}

type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody is there")
}
