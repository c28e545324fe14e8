package route53

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"
)

// failure is an error in a sentence for the operator: the SDK's own text is long, and silent about what to do.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

// explain says what failed and what to do about it. action is its name in a policy, on is what it was to be done on.
func explain(ctx context.Context, action, on string, err error) error {
	what := fmt.Sprintf("%s on %s", action, on)
	if ctx.Err() != nil {
		return &failure{fmt.Sprintf("%s: %v (%v)", what, context.Cause(ctx), cause(err)), err}
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return &failure{fmt.Sprintf("%s: no answer from Route 53: %v", what, cause(err)), err}
	}
	said := answer.ErrorMessage()
	switch answer.ErrorCode() {
	case "AccessDenied", "AccessDeniedException":
		said = fmt.Sprintf("not allowed: add %s on %s to the policy of the role that edge has. AWS says: %s", action, on, said)
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "IncompleteSignature":
		said = fmt.Sprintf("AWS does not accept the credentials: check them, and this host's clock. AWS says: %s", said)
	case "NoSuchHostedZone":
		said = fmt.Sprintf("there is no such hosted zone in the account of these credentials: check tls.dns.route53.hosted_zone_id. AWS says: %s", said)
	case "Throttling", "ThrottlingException", "PriorRequestNotComplete":
		said = fmt.Sprintf("AWS takes no more requests now (five a second for the whole account): it is tried again. AWS says: %s", said)
	case "InvalidChangeBatch":
		said = changeFaults(err, said)
	default:
		said = answer.ErrorCode() + ": " + said
	}
	return &failure{what + ": " + said, err}
}

// changeFaults are the reasons why a batch was refused, which the SDK keeps out of the message.
func changeFaults(err error, said string) string {
	var batch *types.InvalidChangeBatch
	if errors.As(err, &batch) && len(batch.Messages) > 0 {
		said = strings.Join(batch.Messages, "; ")
	}
	return "the change was refused: " + said
}

// cause is the error that says why: the layers of the SDK only say what was being done.
func cause(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return network
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
