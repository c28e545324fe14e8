// Package route53test runs an Amazon Route 53 for tests: moto (https://docs.getmoto.org), in a process that ends with the test, behind a
// gate that makes it as strict as the real one. Only tests import it.
//
//	dns := acmetest.StartDNS(t)
//	aws := route53test.Start(t, route53test.Publish(t, dns))
//	aws.CreateZone(t, "example.com", false)
//	aws.Setenv(t) // or give aws.Env() to a process
//
// Where moto is laxer or stricter than Route 53, the gate answers in its place: a DELETE has to name exactly what is there, a CREATE only what is
// not, each change sees those before it in the batch, and a batch is done whole or not at all
// (https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html). What moto never does — permissions,
// throttling, changes that are pending — a test plays with Intercept. Moto does not answer DNS: Publish tells a name server.
//
// The first test on a machine installs moto into the user's cache folder, which takes a quarter of a minute and the network.
package route53test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/onehost/edge/core/pypitest"
	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

const callTimeout = 20 * time.Second

// Server is a Route 53 of one account. Its methods can be called by several goroutines at once.
type Server struct {
	URL string // the endpoint

	moto   *pypitest.Moto
	front  *httptest.Server
	client *route53.Client // of moto itself

	changes   sync.Mutex // one batch at a time
	mu        sync.Mutex // guards what follows
	intercept func(http.ResponseWriter, *http.Request) bool
	changed   func(name string, values []string) // or nil
}

// Start starts a server that ends with the test. When Python is missing the test is skipped, and failed where CI is set.
//
// changed may be nil: see OnChange.
func Start(t testing.TB, changed func(name string, values []string)) *Server {
	t.Helper()
	s, err := Run(t.Context())
	if err != nil {
		pypitest.Missing(t, "Route 53", err)
	}
	t.Cleanup(s.Close)
	s.OnChange(t, changed)
	return s
}

// Run starts a server for several tests, which ends with Close.
func Run(ctx context.Context) (*Server, error) {
	m, err := pypitest.StartMoto(ctx)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(m.URL)
	if err != nil {
		m.Close()
		return nil, err
	}
	s := &Server{moto: m}
	s.client = route53.New(route53.Options{
		Region: "us-east-1", BaseEndpoint: &m.URL, HTTPClient: &http.Client{Transport: &http.Transport{}, Timeout: callTimeout},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	s.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch intercept, _ := s.hooks(); {
		case intercept != nil && intercept(w, r):
		case r.Method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/rrset"):
			s.change(w, r)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	s.URL = s.front.URL
	return s, nil
}

// Close ends the server.
func (s *Server) Close() {
	s.front.Close()
	s.client.Options().HTTPClient.(*http.Client).CloseIdleConnections()
	s.moto.Close()
}

// Env are the variables that make an AWS SDK use this server.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_ROUTE_53": s.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	}
}

// Setenv makes the AWS SDK in this process use this server, until the test ends.
func (s *Server) Setenv(t *testing.T) {
	t.Helper()
	for name, value := range s.Env() {
		t.Setenv(name, value)
	}
}

// OnChange has changed called after each change of TXT records, before the client has its answer, with the name as "_acme-challenge.example.com."
// and all the values that it now has, until the test ends.
func (s *Server) OnChange(t testing.TB, changed func(name string, values []string)) {
	set := func(f func(string, []string)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed = f
	}
	set(changed)
	t.Cleanup(func() { set(nil) })
}

// Intercept has a handler asked before the server, until the test ends. It answers and returns true, or returns false.
func (s *Server) Intercept(t testing.TB, handler func(http.ResponseWriter, *http.Request) bool) {
	set := func(h func(http.ResponseWriter, *http.Request) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.intercept = h
	}
	set(handler)
	t.Cleanup(func() { set(nil) })
}

// hooks are what tests want called.
func (s *Server) hooks() (intercept func(http.ResponseWriter, *http.Request) bool, changed func(string, []string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.intercept, s.changed
}

// CreateZone creates a hosted zone, public or private, and returns its id.
func (s *Server) CreateZone(t testing.TB, name string, private bool) (id string) {
	t.Helper()
	in := &route53.CreateHostedZoneInput{Name: &name, CallerReference: aws.String(t.Name() + time.Now().String())}
	if private {
		in.HostedZoneConfig = &types.HostedZoneConfig{PrivateZone: true}
		in.VPC = &types.VPC{VPCId: aws.String("vpc-1"), VPCRegion: types.VPCRegionUsEast1}
	}
	out, err := s.client.CreateHostedZone(context.WithoutCancel(t.Context()), in)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(*out.HostedZone.Id, "/hostedzone/")
}

// TXT returns the values of a name, in order and as text. The test ends when they cannot be read.
func (s *Server) TXT(t testing.TB, zoneID, name string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), callTimeout)
	defer cancel()
	sets, err := s.sets(ctx, zoneID)
	if err != nil {
		t.Fatal(err)
	}
	values := texts(sets[key{canonical(name), "TXT"}])
	slices.Sort(values)
	return values
}

// Publish returns what Start is to call for a name server to have the TXT records of the zones. Values that others of their name outlive are left in
// it, since they cannot be taken from it alone, and a moment without the others would fail their challenges.
func Publish(t testing.TB, dns *acmetest.DNS) func(name string, values []string) {
	var mu sync.Mutex
	known := make(map[string][]string)
	return func(name string, values []string) {
		mu.Lock()
		defer mu.Unlock()
		if len(values) == 0 {
			dns.SetTXT(t, name)
			delete(known, name)
			return
		}
		for _, value := range values {
			if !slices.Contains(known[name], value) {
				dns.AddTXT(t, name, value)
				known[name] = append(known[name], value)
			}
		}
	}
}

// Refuse answers with an error of Route 53, for interceptors.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	writeXML(w, status, errorResponse{Namespace: namespace, Type: "Sender", Code: code, Message: message, RequestID: "test"})
}
