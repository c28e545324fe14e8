// A function for tests: it does what its event says.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	Text string `json:"text,omitempty"`
	N    int    `json:"n,omitempty"`
}

func main() {
	if marks := os.Getenv("MARKS"); marks != "" {
		mark(marks)
	}
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("no database")
		os.Exit(3)
	case "panic":
		panic("at the start")
	}
	if os.Getenv("SIGTERM") != "" {
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() { _ = os.WriteFile(os.Getenv("SIGTERM"), nil, 0o600) }))
	}
	lambda.Start(handle)
}

// mark leaves a file for each start.
func mark(folder string) {
	f, err := os.CreateTemp(folder, "start-*")
	if err != nil {
		panic(err)
	}
	f.Close()
}

type answer struct {
	Text     string   `json:"text,omitempty"`
	PID      int      `json:"pid,omitempty"`
	Env      []string `json:"env,omitempty"`
	Dir      string   `json:"dir,omitempty"`
	ARN      string   `json:"arn,omitempty"`
	Name     string   `json:"name,omitempty"`
	ID       string   `json:"id,omitempty"`
	Deadline int64    `json:"deadline,omitempty"`
}

type custom struct{ error }

func handle(ctx context.Context, e event) (any, error) {
	switch e.Do {
	case "pid":
		return answer{PID: os.Getpid()}, nil
	case "fail":
		return nil, errors.New(e.Text)
	case "custom":
		return nil, custom{errors.New(e.Text)}
	case "panic":
		panic(e.Text)
	case "exit":
		os.Exit(e.N)
	case "sleep":
		fmt.Println("sleeping", os.Getpid())
		time.Sleep(time.Duration(e.N) * time.Millisecond)
		return answer{PID: os.Getpid()}, nil
	case "print":
		for i := range e.N {
			fmt.Printf("line %d %s\n", i, e.Text)
		}
		fmt.Fprint(os.Stderr, "the end")
	case "big":
		return strings.Repeat("x", e.N), nil
	case "null":
		return nil, nil
	case "child": // a process that outlives its parent, unless the group is ended
		cmd := exec.Command("/bin/sleep", "600")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		fmt.Println("child", cmd.Process.Pid)
		time.Sleep(time.Hour)
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		dir, _ := os.Getwd()
		return answer{Env: os.Environ(), Dir: dir, ARN: lc.InvokedFunctionArn, ID: lc.AwsRequestID, Name: lambdacontext.FunctionName, Deadline: deadline.UnixMilli()}, nil
	}
	return answer{Text: e.Text}, nil
}
