package mailtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	_ "embed" // the program and the list of packages

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
)

var (
	// moto.txt is what Route 53 is tested with too: one installation does for both.
	//
	//go:embed testdata/moto.txt
	motoRequirements []byte
	//go:embed testdata/moto.py
	motoProgram string
)

const region = "eu-central-1"

// SES is an Amazon SES of one account.
type SES struct {
	URL string // the endpoint, in front of moto

	moto string

	mu        sync.Mutex // guards intercept
	intercept func(http.ResponseWriter, *http.Request) bool
}

// StartSES starts an SES that ends with the test, and points the AWS SDK at it, with credentials and a region. It knows the given senders.
func StartSES(t testing.TB, senders ...string) *SES {
	t.Helper()
	p, err := start(t.Context(), motoRequirements, "moto", motoProgram, true)
	if err != nil {
		unavailable(t, "SES", err)
	}
	t.Cleanup(p.close)
	s := &SES{}
	listening := regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)
	if err := p.first(func(line string) bool {
		found := listening.FindStringSubmatch(line)
		if found != nil {
			s.moto = found[1]
		}
		return found != nil
	}); err != nil {
		t.Fatal("moto did not start: ", err)
	}
	s.serve(t)
	Setenv(t, s.URL)
	client := sesv2.New(sesv2.Options{
		Region: region, BaseEndpoint: &s.moto, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	for _, sender := range senders {
		if _, err := client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: &sender}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *SES) serve(t testing.TB) {
	target, err := url.Parse(s.moto)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: &http.Transport{DisableKeepAlives: true}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		intercept := s.intercept
		s.mu.Unlock()
		if intercept == nil || !intercept(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	s.URL = front.URL
}

// Setenv points the AWS SDK at an SES until the test ends, with credentials and a region, and keeps everything else of AWS away from it.
func Setenv(t testing.TB, url string) {
	t.Helper()
	nothing := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SESV2": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": region, "AWS_DEFAULT_REGION": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": nothing, "AWS_SHARED_CREDENTIALS_FILE": nothing, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// Intercept lets a function answer requests in moto's place: those that it returns true for. nil ends that.
func (s *SES) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Sent are the messages that SES took since the process began. Recipients are those of the request and those of the To field.
func (s *SES) Sent(t testing.TB) (sent []Mail) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: nextTimeout}
	answer, err := client.Get(s.moto + "/moto-api/data.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var data struct {
		SES struct {
			RawMessage []struct {
				Source       string
				Destinations []string
				Raw          string `json:"raw_data"`
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&data); err != nil {
		t.Fatal(err)
	}
	for _, m := range data.SES.RawMessage {
		sent = append(sent, Mail{Sender: m.Source, Recipients: m.Destinations, Data: []byte(m.Raw)})
	}
	return sent
}

// Refuse answers as SES does when it refuses.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}
