package mailtest

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"github.com/onehost/edge/core/pypitest"
)

const region = "eu-central-1"

// SES is an Amazon SES of one account.
type SES struct {
	url string // the endpoint: moto's
}

// StartSES starts an SES that ends with the test, and points the AWS SDK at it, with credentials and a region. It knows the given senders.
func StartSES(t testing.TB, senders ...string) *SES {
	t.Helper()
	moto, err := pypitest.StartMoto(t.Context())
	if err != nil {
		pypitest.Missing(t, "SES", err)
	}
	t.Cleanup(moto.Close)
	Setenv(t, moto.URL)
	client := sesv2.New(sesv2.Options{
		Region: region, BaseEndpoint: &moto.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	for _, sender := range senders {
		if _, err := client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: &sender}); err != nil {
			t.Fatal(err)
		}
	}
	return &SES{url: moto.URL}
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

// Sent are the messages that SES took since the process began. Recipients are those of the request and those of the To field.
func (s *SES) Sent(t testing.TB) (sent []Mail) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: nextTimeout}
	answer, err := client.Get(s.url + "/moto-api/data.json")
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
