// Command recorder is a Lambda function for tests: it writes down what it was invoked with, a line each, and answers as it was asked.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() { lambda.Start(handle) }

func handle(ctx context.Context, e events.APIGatewayV2HTTPRequest) (any, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(os.Getenv("RECORD"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil { // one write: several processes append
		return nil, err
	}
	fmt.Println("recorded", e.RequestContext.RequestID)
	switch query, _ := url.ParseQuery(e.RawQueryString); query.Get("do") {
	case "fail":
		return nil, errors.New("a secret of the function's: hunter2")
	case "hang":
		<-ctx.Done()
		time.Sleep(time.Minute)
		return nil, nil
	case "exit":
		os.Exit(3)
		return nil, nil
	case "json":
		return map[string]any{"any": []int{1, 2}}, nil
	}
	return events.APIGatewayV2HTTPResponse{
		StatusCode: 201, Headers: map[string]string{"X-Route": e.RouteKey, "X-Id": e.PathParameters["id"]},
		Cookies: []string{"a=1", "b=2; HttpOnly"}, Body: "done\n",
	}, nil
}
