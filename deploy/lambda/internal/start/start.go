// Package start begins a Lambda function: it reads the settings, opens what the function needs, and serves invocations until the
// process is ended. What is wrong before the first invocation is told to Lambda as an init error. In comes what happens once for each process.
package start

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// Handler answers one event. What it returns becomes JSON.
type Handler func(ctx context.Context, event json.RawMessage) (any, error)

// Function runs a function: open makes the handler, with the connections that all invocations of this process share. It never returns.
// Log lines are JSON on standard error, which is where CloudWatch reads.
func Function(name string, open func(ctx context.Context, lookup func(string) string, log *slog.Logger) (Handler, error)) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("function", name)
	ctx, cancel := context.WithTimeout(context.Background(), openWithin)
	handler, err := open(ctx, os.Getenv, log)
	cancel()
	if err != nil {
		log.Error("the function does not start", "error", err.Error())
		tell(os.Getenv("AWS_LAMBDA_RUNTIME_API"), err)
		os.Exit(1)
	}
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		fmt.Fprintf(os.Stderr, "%s is a Lambda function: it has to be started by Lambda, or as functions.%s.command of edge (AWS_LAMBDA_RUNTIME_API is missing)\n", name, name)
		os.Exit(2)
	}
	lambda.Start(func(ctx context.Context, event json.RawMessage) (any, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			// What has not ended by then is ended here, where it can still be written down, and not by Lambda, where nothing can.
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-min(reserve, time.Until(deadline)/10)))
			defer cancel()
		}
		return handler(ctx, event)
	})
}

const (
	openWithin = 8 * time.Second // Lambda gives the init phase 10
	reserve    = time.Second     // of an invocation, for what has to be done after a deadline
)

// tell posts an init error. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror
func tell(api string, cause error) {
	if api == "" {
		return
	}
	const kind = "Runtime.ConfigurationError"
	body, _ := json.Marshal(map[string]string{"errorMessage": cause.Error(), "errorType": kind}) // strings always become JSON
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api+"/2018-06-01/runtime/init/error", bytes.NewReader(body)) //nolint:gosec // the Runtime API is where Lambda says
	if err != nil {
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Lambda-Runtime-Function-Error-Type", kind)
	if answer, err := http.DefaultClient.Do(request); err == nil { //nolint:gosec // likewise
		answer.Body.Close()
	}
}
