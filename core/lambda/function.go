package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/lambda/local"
)

const (
	slack    = time.Second // so that who runs the function can say that its time is over, before edge stops listening
	retryOne = time.Second // when to come again where nobody says
)

// function is one function of a configuration.
type function struct {
	name      string
	cfg       config.Function
	client    func(context.Context) (*sdk.Client, error)
	target    string  // the ARN without a qualifier, or the name
	qualifier *string // a version or alias
	gate      *gate
	counts    *counts
	process   *local.Function // nil: it is in AWS
}

// outcome is a result, or why there is none.
type outcome struct {
	result Result
	err    *Error
}

func (f *Functions) newFunction(name string, cfg config.Function) (*function, error) {
	fn := &function{name: name, cfg: cfg, target: name, gate: newGate(cfg.Concurrency), counts: &counts{errors: make(map[Kind]uint64)}}
	if cfg.Local() {
		process, err := f.local.NewFunction(local.Spec{
			Name: name, Command: cfg.Command, Args: cfg.Args, Env: cfg.Env, Timeout: cfg.Timeout, Concurrency: max(1, cfg.Concurrency),
		})
		if err != nil {
			return nil, err
		}
		fn.process = process
		client := localClient(process)
		fn.client = func(context.Context) (*sdk.Client, error) { return client, nil }
		return fn, nil
	}
	target, qualifier, region, err := splitARN(cfg.ARN)
	if err != nil {
		return nil, err
	}
	fn.target = target
	if qualifier != "" {
		fn.qualifier = &qualifier
	}
	fn.client = func(ctx context.Context) (*sdk.Client, error) { return f.aws.in(ctx, region) }
	return fn, nil
}

// splitARN takes arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER] apart.
func splitARN(arn string) (target, qualifier, region string, err error) {
	parts := strings.SplitN(arn, ":", 8)
	if len(parts) < 7 || parts[2] != "lambda" || parts[5] != "function" {
		return "", "", "", errors.New("its arn is not that of a Lambda function: arn:aws:lambda:REGION:ACCOUNT:function:NAME")
	}
	if len(parts) == 8 {
		qualifier = parts[7]
	}
	return strings.Join(parts[:7], ":"), qualifier, parts[3], nil
}

func (fn *function) retire() {
	if fn.process != nil {
		fn.process.Retire()
	}
}

// call waits for a place and invokes. waiter is who asked: he is waited for no longer once there is a place, for then the function runs whatever he does.
func (fn *function) call(waiter, base context.Context, event []byte) outcome {
	if len(event) > MaxEvent {
		return outcome{err: &Error{Function: fn.name, Kind: TooLarge, Message: "the event has more than 6 MB"}}
	}
	if !fn.gate.enter(waiter, base) {
		return outcome{err: &Error{Function: fn.name, Kind: Throttled, RetryAfter: retryOne, Message: "its concurrency is used up"}}
	}
	defer fn.gate.leave()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(waiter), fn.cfg.Timeout+local.InitTime+slack)
	defer cancel()
	defer context.AfterFunc(base, cancel)()
	return fn.invoke(ctx, event)
}

// invoke is one call of Lambda's Invoke, in AWS or here.
func (fn *function) invoke(ctx context.Context, event []byte) outcome {
	client, err := fn.client(ctx)
	if err != nil {
		return outcome{err: fn.classify(err)}
	}
	out, err := client.Invoke(ctx, &sdk.InvokeInput{
		FunctionName: &fn.target, Qualifier: fn.qualifier, InvocationType: types.InvocationTypeRequestResponse, LogType: types.LogTypeTail, Payload: event,
	})
	if err != nil {
		e := fn.classify(err)
		return outcome{result: Result{RequestID: e.RequestID}, err: e}
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	result := Result{Payload: out.Payload, RequestID: id}
	if tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult)); err == nil && len(tail) <= 2*local.TailSize {
		result.Log = string(tail)
	}
	if out.FunctionError != nil {
		return outcome{result: Result{RequestID: id, Log: result.Log}, err: fn.functionError(out.Payload, id)}
	}
	return outcome{result: result}
}

// unwrapped leaves out the path, which a message has already.
func unwrapped(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
