package mail

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
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/onehost/edge/core/config"
)

const (
	metadataTimeout = 5 * time.Second // the instance's metadata service answers in milliseconds, or it is not there
	sesAttempts     = 3               // of one message, while SES says that it is asked too fast
	sesBackoff      = 5 * time.Second // the longest pause between two of them
)

// ses is Amazon SES, by its API of version 2. It gets letters as they are (raw), so that they are the same whoever carries them.
type ses struct {
	aws     aws.Config
	log     *slog.Logger
	backoff time.Duration // sesBackoff; shorter in tests

	mu     sync.Mutex    // guards client
	client *sesv2.Client // nil until the region is known
}

// newSES reads the SDK's settings of this host. The metadata service of an instance is asked with the first message.
func newSES(ctx context.Context, c config.SES, log *slog.Logger) (*ses, error) {
	s := &ses{log: log, backoff: sesBackoff}
	var err error
	if s.aws, err = awsconfig.LoadDefaultConfig(ctx, s.options(c.Region)...); err != nil {
		return nil, fmt.Errorf("ses: the AWS settings of this host cannot be used: %w", err)
	}
	return s, nil
}

func (s *ses) options(region string) []func(*awsconfig.LoadOptions) error {
	return []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(region), // "": that of the environment
		awsconfig.WithRetryer(s.retryer),
		awsconfig.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
			s.log.Debug("mail: the AWS SDK says: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
		})),
	}
}

// retryer tries again what SES did not look at. After any other failure the message may be on its way: that is for the caller to decide.
func (s *ses) retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = sesAttempts, s.backoff, ratelimit.None
		tooFast := map[string]struct{}{"TooManyRequestsException": {}, "ThrottlingException": {}, "Throttling": {}}
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: tooFast}}
	})
}

func (s *ses) carry(ctx context.Context, l *letter) error {
	if l.utf8 {
		return invalid("SES takes no addresses with letters other than ASCII before the @")
	}
	client, err := s.ready(ctx)
	if err != nil {
		return err
	}
	to := make([]string, 0, len(l.to))
	for _, a := range l.to {
		to = append(to, a.spec())
	}
	_, err = client.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(l.from.spec()), Destination: &types.Destination{ToAddresses: to},
		Content: &types.EmailContent{Raw: &types.RawMessage{Data: l.bytes}},
	})
	return explainSES(ctx, err)
}

// ready returns the client, once region and credentials are known. They are asked for by themselves, so that their absence is not told as a message's failure.
func (s *ses) ready(ctx context.Context) (*sesv2.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, metadataTimeout, errors.New("the instance's metadata service does not answer, if this is an instance at all"))
	defer cancel()
	client, err := s.withRegion(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.aws.Credentials.Retrieve(ctx); err != nil {
		return nil, unavailable(why(ctx, err), "there are no AWS credentials for SES: give the instance or function a role that may ses:SendEmail and ses:SendRawEmail, "+
			"or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return client, nil
}

func (s *ses) withRegion(ctx context.Context) (*sesv2.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	settings := s.aws
	if settings.Region == "" {
		found, err := awsconfig.LoadDefaultConfig(ctx, append(s.options(""), awsconfig.WithEC2IMDSRegion())...)
		if err != nil || found.Region == "" {
			return nil, unavailable(why(ctx, err), "nobody says in which AWS region SES is: set mail.ses.region or AWS_REGION")
		}
		settings.Region = found.Region
	}
	s.client = sesv2.NewFromConfig(settings)
	return s.client, nil
}

// why is what ended the wait, if it was that.
func why(ctx context.Context, err error) error {
	if gone := context.Cause(ctx); gone != nil {
		return gone
	}
	return err
}

// explainSES says what an error of SendEmail means (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors).
func explainSES(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return unavailable(why(ctx, err), "SES did not answer")
	}
	code, said := api.ErrorCode(), clip(api.ErrorMessage())
	switch code {
	case "MessageRejected", "BadRequestException":
		if strings.Contains(strings.ToLower(said), "not verified") {
			return unavailable(nil, "SES does not know the sender as ours, or the account is in its sandbox, where recipients have to be known too: verify mail.from in SES: %s", said)
		}
		return invalid("SES refuses the message: %s: %s", code, said)
	case "TooManyRequestsException", "LimitExceededException":
		return unavailable(nil, "SES takes no more messages now: %s: %s", code, said)
	case "MailFromDomainNotVerifiedException", "NotFoundException":
		return unavailable(nil, "the sender is not set up in SES: %s: %s", code, said)
	case "AccountSuspendedException", "SendingPausedException":
		return unavailable(nil, "SES has stopped sending for this account; its console says why: %s: %s", code, said)
	case "AccessDeniedException", "AccessDenied":
		return unavailable(nil, "SES is not allowed: the role has to be allowed ses:SendEmail and ses:SendRawEmail: %s: %s", code, said)
	}
	return unavailable(nil, "SES does not take the message: %s: %s", code, said)
}
