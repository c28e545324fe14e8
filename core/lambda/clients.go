package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go/logging"

	"github.com/onehost/edge/core/lambda/local"
)

// clients are the ways to Lambda in AWS, one for each region. What the SDK's default chain reads (files, environment, the instance's role) is read with
// the first invocation.
type clients struct {
	http *awshttp.BuildableClient

	mu       sync.Mutex
	byRegion map[string]*sdk.Client
}

func newClients() *clients {
	return &clients{
		byRegion: make(map[string]*sdk.Client),
		// No timeouts of its own: each invocation has a deadline, which is that of its function.
		http: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 64 }),
	}
}

// in returns the client for a region.
func (c *clients) in(ctx context.Context, region string) (*sdk.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.byRegion[region]; client != nil {
		return client, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithHTTPClient(c.http), config.WithRetryMaxAttempts(1))
	if err != nil {
		return nil, credentialsError{err}
	}
	client := sdk.NewFromConfig(cfg, func(o *sdk.Options) {
		o.Credentials = credentials{o.Credentials}
		o.HTTPClient = bounded{c.http}
		o.RetryMaxAttempts, o.Logger = 1, logging.Nop{}
	})
	c.byRegion[region] = client
	return client, nil
}

func (c *clients) close() {
	if f, ok := c.http.Freeze().(interface{ CloseIdleConnections() }); ok {
		f.CloseIdleConnections()
	}
}

// localClient is the way to a function of this host: the same client, whose transport is a call.
func localClient(f *local.Function) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: local.Region, BaseEndpoint: aws.String("http://functions.invalid"), Credentials: aws.AnonymousCredentials{},
		RetryMaxAttempts: 1, HTTPClient: bounded{inProcess{f}}, Logger: logging.Nop{},
	})
}

// inProcess is an HTTP client whose every request is answered by a handler in the caller's own goroutine.
type inProcess struct{ handler http.Handler }

func (t inProcess) Do(r *http.Request) (*http.Response, error) {
	w := answer{header: make(http.Header)}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	t.handler.ServeHTTP(&w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.response(r), nil
}

// bounded cuts off answers that are longer than Lambda's can be.
//
// It also hides WriteTo of the SDK's events: the SDK closes an event as soon as an answer's head is here, which may be before net/http has looked whether the event is over. A closed event's Read says so;
// its WriteTo makes an error of it, for which net/http closes the connection under the answer.
type bounded struct{ client aws.HTTPClient }

var errAnswerTooLong = errors.New("the answer has more than 6 MB")

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	resp, err := b.client.Do(r)
	if err == nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: MaxEvent + 1}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int // bytes, and one more
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left <= 0 {
		return n, errAnswerTooLong
	}
	return n, err
}

// credentials tells errors of finding credentials from all others.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.CredentialsProvider == nil {
		return aws.Credentials{}, credentialsError{errors.New("there are none")}
	}
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, credentialsError{err}
	}
	return found, nil
}

type credentialsError struct{ err error }

func (e credentialsError) Error() string { return fmt.Sprintf("AWS credentials: %v", e.err) }
func (e credentialsError) Unwrap() error { return e.err }
