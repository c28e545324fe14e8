// Package route53 answers ACME's DNS-01 challenges (RFC 8555 section 8.4) with TXT records in Amazon Route 53: the only way to a
// wildcard certificate. Solver is what certmagic takes; it stands on Provider, which speaks libdns's interfaces.
//
// # Why not certmagic's own DNS01Solver
//
// It asks DNS for the SOA record to find the zone of a name, and for the TXT record to see when it is there. On EC2 both answers
// can be those of a private hosted zone of the same name (split-horizon DNS), in which the CA never looks, and a resolver keeps a
// "no such record" for as long as the SOA says. Route 53 itself knows better: which public zones there are, and when all of
// its name servers have a change. So the zone is found by the API, no resolver is asked, and none has to be configured.
//
// # Credentials
//
// They come from the SDK's default chain: environment, shared configuration, or the instance's role. Endpoint and region are the
// SDK's too (AWS_ENDPOINT_URL_ROUTE_53, AWS_REGION); without a region us-east-1 is taken, since Route 53 is global. The least
// policy that does is, for one zone and with HostedZoneID set (ZONE is its id):
//
//	{"Version": "2012-10-17", "Statement": [
//	  {"Effect": "Allow", "Action": "route53:GetChange", "Resource": "arn:aws:route53:::change/*"},
//	  {"Effect": "Allow",
//	   "Action": ["route53:GetHostedZone", "route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"],
//	   "Resource": "arn:aws:route53:::hostedzone/ZONE"}]}
//
// Without HostedZoneID, route53:ListHostedZonesByName on "*" takes the place of route53:GetHostedZone. ChangeResourceRecordSets can be
// narrowed by the condition keys route53:ChangeResourceRecordSetsRecordTypes (TXT) and …Actions (CREATE, DELETE).
//
// # Several writers of one name
//
// The authorisations of example.com and *.example.com want values under one name at the same time, and so do several hosts. Route 53 keeps
// all values of a name and type as one set, without a way to add one. Each change therefore reads the set and sends one atomic batch that
// deletes it with exactly the values that were read and creates the new one; who was too late gets InvalidChangeBatch and
// begins again (https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html).
package route53

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/smithy-go/logging"
	"github.com/libdns/libdns"
)

const (
	callTimeout       = time.Minute      // of one call of the API, with its retries
	credentialTimeout = 5 * time.Second  // the instance's metadata service answers in milliseconds, or it is not there
	callAttempts      = 6                // of one call: Route 53 takes five requests a second of an account, from whomever they come
	callBackoff       = 10 * time.Second // the longest pause between two of them
)

// Options say which zone to use.
type Options struct {
	// HostedZoneID is the zone that all records go to, such as Z0123456789ABCDEFGHIJ. When it is empty the zone is looked for by name:
	// the most specific public one of the account.
	HostedZoneID string

	// Log is told what is changed and, at debug, what the SDK has to say. Nil is slog's default.
	Log *slog.Logger
}

// Provider keeps TXT records in Route 53. It may be used by several goroutines at once.
type Provider struct {
	client      *api.Client
	credentials aws.CredentialsProvider
	log         *slog.Logger
	zones       zones

	changePause, syncInterval, credentialTimeout time.Duration // those of the constants; shorter in tests

	mu    sync.Mutex      // guards turns
	turns map[string]turn // by zone id: Route 53 takes one change of a zone at a time
}

var (
	_ libdns.RecordAppender = (*Provider)(nil)
	_ libdns.RecordDeleter  = (*Provider)(nil)
)

// NewProvider reads the SDK's configuration, which asks nothing of the network: credentials and zones are asked for when they are needed.
func NewProvider(ctx context.Context, o Options) (*Provider, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithDefaultRegion("us-east-1"),
		config.WithRetryer(retryer),
		config.WithLogger(asDebug(o.Log)),
	)
	if err != nil {
		return nil, fmt.Errorf("route53: the AWS configuration of this host cannot be used: %w", err)
	}
	return &Provider{
		client: api.NewFromConfig(cfg), credentials: cfg.Credentials, log: o.Log, turns: make(map[string]turn),
		zones:       zones{turn: newTurn(), only: strings.TrimPrefix(o.HostedZoneID, "/hostedzone/")},
		changePause: changePause, syncInterval: syncInterval, credentialTimeout: credentialTimeout,
	}, nil
}

// asDebug passes on what the SDK would write to stderr by itself. What matters of it comes back as an error as well.
func asDebug(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
		log.Debug("route53: the AWS SDK says: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
	})
}

// retryer slows down when Route 53 says so, and keeps no budget of retries: how long a call may take is bounded by time.
func retryer() aws.Retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) {
			o.MaxAttempts = callAttempts
			o.MaxBackoff = callBackoff
			o.RateLimiter = ratelimit.None
		})
	})
}

// call makes one call of the API within its deadline. action is its name in a policy, on what it is about.
func call[In, Out any](ctx context.Context, p *Provider, action, on string, do func(context.Context, *In, ...func(*api.Options)) (*Out, error), in *In) (*Out, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, fmt.Errorf("no answer within %v", callTimeout))
	defer cancel()
	if err := p.haveCredentials(ctx); err != nil {
		return nil, err
	}
	out, err := do(ctx, in)
	if err != nil {
		return nil, explain(ctx, action, on, err)
	}
	return out, nil
}

// haveCredentials asks for them by themselves, so that their absence is not told as a failed call, and so that a metadata service that is not there
// does not use up the time of one.
func (p *Provider) haveCredentials(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.credentialTimeout)
	defer cancel()
	if _, err := p.credentials.Retrieve(ctx); err != nil {
		why := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			why = "the instance's metadata service does not answer, if this is an instance at all"
		}
		return &failure{"route53: there are no AWS credentials: give the instance a role (an instance profile) that may change the zone, " +
			"or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: " + why, err}
	}
	return nil
}

// turn is a lock that can be waited for within a deadline.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) give() { <-t }

// turnOf is the lock of a zone.
func (p *Provider) turnOf(zoneID string) turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.turns[zoneID]
	if !ok {
		t = newTurn()
		p.turns[zoneID] = t
	}
	return t
}
