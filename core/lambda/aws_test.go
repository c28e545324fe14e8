package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/onehost/edge/core/config"
)

const theARN = "arn:aws:lambda:eu-west-1:123456789012:function:subscribe:live"

// inAWS has functions in an AWS that the handler is.
func inAWS(t *testing.T, handler http.HandlerFunc, change ...func(*config.Function)) *Functions {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := io.ReadAll(r.Body) // as Lambda does before it answers: the SDK closes an event that is still being sent, and the connection with it
		r.Body = io.NopCloser(bytes.NewReader(event))
		handler(w, r)
	}))
	t.Setenv("AWS_ENDPOINT_URL_LAMBDA", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return functionsInAWS(t, server.Close, change...)
}

func functionsInAWS(t *testing.T, closing func(), change ...func(*config.Function)) *Functions {
	t.Helper()
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_MAX_ATTEMPTS", "5") // which must not matter
	fn := config.Function{ARN: theARN, Timeout: 20 * time.Second, Concurrency: 5}
	for _, c := range change {
		c(&fn)
	}
	f := New(Options{Log: slog.New(slog.DiscardHandler)})
	use(t, f, map[string]config.Function{"f": fn})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		closing()
	})
	return f
}

func TestAFunctionInAWSIsInvokedAsTheAPIWantsIt(t *testing.T) {
	f := inAWS(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		auth := r.Header.Get("Authorization")
		if r.Method != "POST" || r.URL.EscapedPath() != "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Asubscribe/invocations" || r.URL.RawQuery != "Qualifier=live" {
			t.Errorf("it is asked for %s %s", r.Method, r.URL)
		}
		if string(body) != `{"a":1}` || r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || r.Header.Get("X-Amz-Log-Type") != "Tail" || !strings.Contains(auth, "/eu-west-1/lambda/aws4_request") {
			t.Errorf("it gets %s with %v", body, r.Header)
		}
		w.Header().Set("X-Amzn-Requestid", "87d3fc7a")
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte("END RequestId\n")))
		fmt.Fprint(w, `{"ok":true}`)
	})
	result, err := f.Invoke(t.Context(), "f", []byte(`{"a":1}`))
	if err != nil || string(result.Payload) != `{"ok":true}` || result.RequestID != "87d3fc7a" || result.Log != "END RequestId\n" || result.Duration <= 0 {
		t.Errorf("got %+v, %v", result, err)
	}
	if got := f.Status()[0]; got.Kind != "arn" || got.Target != theARN || got.Invocations != 1 {
		t.Errorf("the status is %+v", got)
	}
}

func TestWhatAnErrorOfLambdaMeans(t *testing.T) {
	for _, tt := range []struct {
		status     int
		code, body string
		header     [2]string
		want       Kind
		http       int
		after      time.Duration
	}{
		{200, "", `{"errorMessage":"no","errorType":"Error","stackTrace":["at a"]}`, [2]string{"X-Amz-Function-Error", "Unhandled"}, Failed, 502, 0},
		{200, "", `not JSON`, [2]string{"X-Amz-Function-Error", "Handled"}, Failed, 502, 0},
		{200, "", `{"errorMessage":"2026-01-01T00:00:00.000Z 87d3fc7a Task timed out after 3.00 seconds"}`, [2]string{"X-Amz-Function-Error", "Unhandled"}, TimedOut, 504, 0},
		{200, "", `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 8 Error: Task timed out after 3.00 seconds"}`, [2]string{"X-Amz-Function-Error", "Unhandled"}, TimedOut, 504, 0},
		{200, "", `{"errorType":"Mine","errorMessage":"Task timed out after lunch"}`, [2]string{"X-Amz-Function-Error", "Unhandled"}, Failed, 502, 0},
		{429, "TooManyRequestsException", `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`, [2]string{"Retry-After", "7"}, Throttled, 429, 7 * time.Second},
		{429, "TooManyRequestsException", `{"Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate Exceeded."}`, [2]string{}, Throttled, 429, time.Second},
		{502, "EC2ThrottledException", `{"Type":"Service","Message":"EC2 throttled"}`, [2]string{"Retry-After", "999999999999"}, Throttled, 429, time.Hour},
		{502, "ENILimitReachedException", `{"Type":"User","Message":"limit"}`, [2]string{"Retry-After", "86400"}, Throttled, 429, time.Hour},
		{413, "RequestTooLargeException", `{"Type":"User","message":"Request must be smaller than 6291556 bytes"}`, [2]string{}, TooLarge, 413, 0},
		{413, "", `<html>`, [2]string{}, TooLarge, 413, 0},
		{404, "ResourceNotFoundException", `{"Type":"User","Message":"Function not found: arn"}`, [2]string{}, Missing, 502, 0},
		{403, "AccessDeniedException", `{"Message":"User: arn is not authorized to perform: lambda:InvokeFunction"}`, [2]string{}, Denied, 502, 0},
		{403, "UnrecognizedClientException", `{"message":"The security token included in the request is invalid."}`, [2]string{}, Denied, 502, 0},
		{403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`, [2]string{}, Denied, 502, 0},
		{403, "SomethingNew", `{"message":"no"}`, [2]string{}, Denied, 502, 0},
		{502, "InvalidRuntimeException", `{"Type":"Service","Message":"runtime"}`, [2]string{}, Broken, 502, 0},
		{502, "KMSAccessDeniedException", `{"Type":"Service","Message":"kms"}`, [2]string{}, Broken, 502, 0},
		{400, "InvalidParameterValueException", `{"Type":"User","message":"no"}`, [2]string{}, Broken, 502, 0},
		{409, "ResourceConflictException", `{"Type":"User","Message":"The operation cannot be performed at this time."}`, [2]string{}, Unavailable, 503, 0},
		{500, "ServiceException", `{"Type":"Service","Message":"An error occurred and the request cannot be processed."}`, [2]string{}, Unavailable, 503, 0},
		{503, "", `busy`, [2]string{}, Unavailable, 503, 0},
	} {
		t.Run(fmt.Sprint(tt.status, tt.code, tt.body[:min(20, len(tt.body))]), func(t *testing.T) {
			asked := atomic.Int32{}
			f := inAWS(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("X-Amzn-Requestid", "87d3fc7a")
				if tt.code != "" {
					w.Header().Set("X-Amzn-Errortype", tt.code)
				}
				if tt.header[0] != "" {
					w.Header().Set(tt.header[0], tt.header[1])
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			result, e := failing(t, f, `{}`)
			if e.Kind != tt.want || e.Status() != tt.http || e.RetryAfter != tt.after || e.RequestID != "87d3fc7a" || result.RequestID != "87d3fc7a" || e.Retry() != (tt.want != TooLarge) || e.Type != tt.code && tt.status != 200 && tt.code != "" {
				t.Errorf("got %+v", e)
			}
			if asked.Load() != 1 {
				t.Errorf("it was tried %d times: it may do its work more than once", asked.Load())
			}
		})
	}
}

func TestWhenThereIsNoAnswer(t *testing.T) {
	t.Run("the network", func(t *testing.T) {
		f := inAWS(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
		if _, e := failing(t, f, `{}`); e.Kind != Unavailable {
			t.Error(e)
		}
	})
	t.Run("too long", func(t *testing.T) {
		f := inAWS(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxEvent+1)) })
		if _, e := failing(t, f, `{}`); e.Kind != Failed || !strings.Contains(e.Message, "6 MB") {
			t.Error(e)
		}
	})
	t.Run("as long as may be", func(t *testing.T) {
		f := inAWS(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxEvent)) })
		if result, err := f.Invoke(t.Context(), "f", []byte(`{}`)); err != nil || len(result.Payload) != MaxEvent {
			t.Error(len(result.Payload), err)
		}
	})
	t.Run("too long an event", func(t *testing.T) {
		f := inAWS(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
		if _, e := failing(t, f, strings.Repeat("x", MaxEvent+1)); e.Kind != TooLarge || e.Retry() {
			t.Error(e)
		}
	})
	t.Run("nobody waits", func(t *testing.T) {
		got := make(chan struct{})
		f := inAWS(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			close(got)
			<-r.Context().Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := f.Invoke(ctx, "f", []byte(`{}`))
		e, ok := err.(*Error)
		if !ok || e.Kind != TimedOut || e.Status() != 504 {
			t.Error(err)
		}
		<-got
		if got := f.Status()[0]; got.InFlight != 1 {
			t.Errorf("the function goes on, and the status is %+v", got)
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		t.Setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1")
		f := functionsInAWS(t, func() {})
		if _, e := failing(t, f, `{}`); e.Kind != Denied || !strings.Contains(e.Message, "credentials") {
			t.Error(e)
		}
	})
}

// doer is an HTTP client.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestAnEventThatTheSDKHasClosedIsOver(t *testing.T) {
	var event io.Reader
	client := sdk.New(sdk.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://functions.invalid"), Credentials: aws.AnonymousCredentials{},
		HTTPClient: bounded{doer(func(r *http.Request) (*http.Response, error) {
			event = r.Body
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})},
	})
	if _, err := client.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), Payload: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, event); n != 0 || err != nil { // as net/http looks whether there is more than was announced
		t.Errorf("read after the answer it has %d bytes, %v", n, err)
	}
}

func TestAnErrorSaysItAllToTheLogAndItsKindToErrorsIs(t *testing.T) {
	e := &Error{Function: "f", Kind: TimedOut, RequestID: "8", Type: "T", Message: "m", Trace: "[]", Err: context.Canceled}
	if got := e.Error(); got != "function f: timed out: T: m" {
		t.Error(got)
	}
	if got := e.LogValue().String(); got != "[function=f kind=timed_out request_id=8 type=T message=m trace=[] cause=context canceled]" {
		t.Error(got)
	}
}
