package route53

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAMissingPermissionIsNamedWithItsZone(t *testing.T) {
	name, id := zoneFor(t)
	for _, c := range []struct{ method, path, only, want string }{
		{"GET", "/hostedzonesbyname", "", "add route53:ListHostedZonesByName on *"},
		{"GET", "/hostedzone/", id, "add route53:GetHostedZone on hostedzone/" + id},
		{"GET", "/rrset", "", "add route53:ListResourceRecordSets on hostedzone/" + id + " (" + name + ".)"},
		{"POST", "/rrset", "", "add route53:ChangeResourceRecordSets on hostedzone/" + id + " (" + name + ".)"},
		{"GET", "/change/", "", "add route53:GetChange on change/*"},
	} {
		account.Intercept(t, refusing(c.method, c.path, 0, http.StatusForbidden, "AccessDenied", "User: arn:aws:sts::1:assumed-role/edge is not authorized"))
		s := newSolver(t, Options{HostedZoneID: c.only})
		err := s.Present(t.Context(), challenge(name, 1))
		if err == nil {
			err = s.Wait(t.Context(), challenge(name, 1))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "assumed-role/edge") {
			t.Errorf("%s %s: %v, want %s", c.method, c.path, err, c.want)
		}
	}
}

func TestRefusedCredentialsAreSaid(t *testing.T) {
	name, _ := zoneFor(t)
	account.Intercept(t, refusing("GET", "", 0, http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid"))
	err := newSolver(t, Options{}).Present(t.Context(), challenge(name, 1))
	if err == nil || !strings.Contains(err.Error(), "does not accept the credentials") {
		t.Error(err)
	}
}

func TestAZoneThatIsGoneIsLookedForAnew(t *testing.T) {
	name, _ := zoneFor(t)
	s := newSolver(t, Options{})
	account.Intercept(t, refusing("GET", "/rrset", 1, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: Z1"))
	if err := s.Present(t.Context(), challenge(name, 1)); err == nil || !strings.Contains(err.Error(), "no such hosted zone") {
		t.Error(err)
	}
	if err := s.Present(t.Context(), challenge(name, 1)); err != nil || time.Since(s.provider.zones.at) > time.Minute {
		t.Error(err)
	}
}

// noCredentials leaves only the instance's metadata service, at an address.
func noCredentials(t *testing.T, metadata string) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata, "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
	} {
		t.Setenv(name, value)
	}
}

func TestAHostWithoutCredentialsIsToldSo(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	noCredentials(t, "http://"+silent.Addr().String())
	s := newSolver(t, Options{})
	s.provider.credentialTimeout = 300 * time.Millisecond
	begun := time.Now()
	err = s.Present(t.Context(), challenge("a.test", 1))
	if err == nil || !strings.Contains(err.Error(), "no AWS credentials: give the instance a role") {
		t.Error(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// metadataV1 is an instance's metadata service that knows no tokens (IMDSv1), and the role that the instance has, if any.
func metadataV1(t *testing.T, role string) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch rest, ok := strings.CutPrefix(r.URL.Path, "/latest/meta-data/iam/security-credentials/"); {
		case !ok, role == "":
			http.NotFound(w, r)
		case rest == "":
			fmt.Fprint(w, role)
		default:
			asked.Add(1)
			fmt.Fprintf(w, `{"Code": "Success", "AccessKeyId": "id", "SecretAccessKey": "secret", "Token": "token", "Expiration": %q}`,
				time.Now().Add(6*time.Hour).UTC().Format(time.RFC3339))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestWhoHasCredentialsIsReadyAndKeepsThem(t *testing.T) {
	url, asked := metadataV1(t, "edge")
	noCredentials(t, url)
	s := newSolver(t, Options{})
	for range 3 {
		if err := s.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the metadata service was asked %d times", n)
	}
}

func TestWhoHasNoCredentialsIsNotReadyAndSaysWhatIsMissing(t *testing.T) {
	url, _ := metadataV1(t, "")
	noCredentials(t, url)
	err := newSolver(t, Options{}).Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no AWS credentials: give the instance a role") {
		t.Error(err)
	}
}

func TestWhatTheSDKSaysGoesToTheLogAtDebug(t *testing.T) {
	url, _ := metadataV1(t, "edge")
	noCredentials(t, url)
	var said bytes.Buffer
	s := newSolver(t, Options{Log: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if log := said.String(); !strings.Contains(log, "level=DEBUG") || !strings.Contains(log, "falling back to IMDSv1") {
		t.Errorf("the log has %q", log)
	}
}

func TestANetworkThatFailsIsSaidInOneSentence(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	layers := fmt.Errorf("operation error Route 53: %w", fmt.Errorf("request send failed: %w", refused))
	err := explain(t.Context(), "route53:GetChange", "change/*", layers)
	if want := "route53:GetChange on change/*: no answer from Route 53: dial tcp: connection refused"; err.Error() != want || !errors.Is(err, refused) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestWhoGivesUpIsNotKeptWaiting(t *testing.T) {
	name, id := zoneFor(t)
	s := newSolver(t, Options{HostedZoneID: id})
	ctx, cancel := context.WithCancel(t.Context())
	account.Intercept(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
			cancel()
			<-r.Context().Done()
			return true
		}
		return false
	})
	if err := s.Present(ctx, challenge(name, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Present: %v", err)
	}
	turn := s.provider.turnOf(id)
	if err := turn.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer turn.give()
	if err := s.Present(ctx, challenge(name, 2)); !errors.Is(err, context.Canceled) {
		t.Errorf("Present in a queue: %v", err)
	}
	if err := s.Wait(ctx, challenge(name, 2)); err == nil || !strings.Contains(err.Error(), "was not presented") {
		t.Errorf("Wait: %v", err)
	}
}
