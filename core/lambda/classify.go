package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

const (
	traceSize   = 4 << 10 // bytes of a stack trace, and of a message, that are kept
	longestWait = time.Hour
)

// kinds are Lambda's error codes (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors and the common errors of AWS APIs). What is not here is judged by its status.
var kinds = map[string]Kind{ // read only
	"TooManyRequestsException": Throttled, "EC2ThrottledException": Throttled, "ENILimitReachedException": Throttled, "SubnetIPAddressLimitReachedException": Throttled,
	"ThrottlingException": Throttled, "Throttling": Throttled, "RequestLimitExceeded": Throttled,

	"RequestTooLargeException": TooLarge, "RequestEntityTooLargeException": TooLarge, "SerializedRequestEntityTooLargeException": TooLarge,

	"ResourceNotFoundException": Missing, "NoPublishedVersionException": Missing,

	"AccessDeniedException": Denied, "AccessDenied": Denied, "UnrecognizedClientException": Denied, "ExpiredTokenException": Denied, "ExpiredToken": Denied, "RequestExpired": Denied,
	"InvalidSignatureException": Denied, "SignatureDoesNotMatch": Denied, "IncompleteSignature": Denied, "MissingAuthenticationTokenException": Denied,
	"MissingAuthenticationToken": Denied, "InvalidClientTokenId": Denied, "NotAuthorized": Denied, "OptInRequired": Denied,

	"InvalidRuntimeException": Broken, "InvalidZipFileException": Broken, "InvalidSecurityGroupIDException": Broken, "InvalidSubnetIDException": Broken,
	"KMSAccessDeniedException": Broken, "KMSDisabledException": Broken, "KMSInvalidStateException": Broken, "KMSNotFoundException": Broken,
	"EC2AccessDeniedException": Broken, "EFSMountFailureException": Broken, "EFSMountConnectivityException": Broken, "EFSMountTimeoutException": Broken, "EFSIOException": Broken,
	"S3FilesMountConnectivityException": Broken, "S3FilesMountFailureException": Broken, "S3FilesMountTimeoutException": Broken,
	"SnapStartException": Broken, "SnapStartTimeoutException": Broken, "SnapStartRegenerationFailureException": Broken, "InvalidCodeSignatureException": Broken, "CodeVerificationFailedException": Broken,
	"RecursiveInvocationException": Broken, "InvalidParameterValueException": Broken, "InvalidRequestContentException": Broken, "UnsupportedMediaTypeException": Broken, "ModeNotSupportedException": Broken,

	"SnapStartNotReadyException": Unavailable, "ResourceConflictException": Unavailable, "ResourceNotReadyException": Unavailable, "ENINotReadyException": Unavailable,
	"EC2UnexpectedException": Unavailable, "ServiceException": Unavailable,
}

// classify says what an error of the SDK means.
func (fn *function) classify(err error) *Error {
	e := &Error{Function: fn.name, Kind: Unavailable, Err: err, Message: clip(err.Error())}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		e.RequestID = response.RequestID
		e.Kind = ofStatus(response.HTTPStatusCode())
	}
	var code smithy.APIError
	_, credentials := errors.AsType[credentialsError](err)
	switch {
	case errors.As(err, &code):
		e.Type, e.Message = code.ErrorCode(), clip(code.ErrorMessage())
		if kind, known := kinds[e.Type]; known {
			e.Kind = kind
		}
	case errors.Is(err, errAnswerTooLong):
		e.Kind = Failed
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Message = TimedOut, "no answer within its timeout of "+fn.cfg.Timeout.String()
	case credentials:
		e.Kind = Denied
	}
	if e.Kind == Throttled {
		e.RetryAfter = retryAfter(err, response)
	}
	return e
}

// ofStatus is what an answer of Lambda's means whose code says nothing.
func ofStatus(status int) Kind {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Denied
	case status == http.StatusNotFound:
		return Missing
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusGatewayTimeout || status == http.StatusRequestTimeout:
		return TimedOut
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return Broken
	}
	return Unavailable
}

// retryAfter is when Lambda says to come again: in seconds, in a field that the SDK reads or in the answer's head.
func retryAfter(err error, response *awshttp.ResponseError) time.Duration {
	said := ""
	if e, ok := errors.AsType[*types.TooManyRequestsException](err); ok {
		said = aws.ToString(e.RetryAfterSeconds)
	}
	if said == "" && response != nil && response.Response != nil {
		said = response.Response.Header.Get("Retry-After")
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil || seconds <= 0 {
		return retryOne
	}
	return min(longestWait, time.Duration(min(seconds, int(longestWait/time.Second)))*time.Second)
}

// functionError reads what a function sent for an error, or Lambda for a function that is no more.
func (fn *function) functionError(payload []byte, id string) *Error {
	e := &Error{Function: fn.name, Kind: Failed, RequestID: id}
	var sent struct {
		Type    string          `json:"errorType"`
		Message string          `json:"errorMessage"`
		Trace   json.RawMessage `json:"stackTrace"`
	}
	if err := json.Unmarshal(payload, &sent); err != nil {
		e.Message = clip(string(payload))
		return e
	}
	e.Type, e.Message, e.Trace = clip(sent.Type), clip(sent.Message), clip(string(sent.Trace))
	switch {
	case timedOut(e.Type, sent.Message):
		e.Kind = TimedOut
	case e.Type == "Runtime.InvalidEntrypoint" || e.Type == "Runtime.InvalidWorkingDir":
		e.Kind = Broken
	}
	return e
}

// timedOut reports whether Lambda ended the function. It words that in one of two ways:
// a type and a message, or a message that begins with the time and the request's id and no type.
func timedOut(kind, message string) bool {
	return kind == "Sandbox.Timedout" || kind == "" && strings.Contains(message, "Task timed out after ")
}

func clip(text string) string {
	if len(text) > traceSize {
		return strings.ToValidUTF8(text[:traceSize], "") + "…"
	}
	return text
}
