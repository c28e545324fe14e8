package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

// invokeTimeout is longer than a function may take.
const invokeTimeout = 16 * time.Minute

// maxEventFile bounds the file of an event, in bytes: the server refuses less.
const maxEventFile = 8 << 20

func (c *cli) functionsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "functions",
		Short: "show the functions, or invoke one",
		Long: `functions shows every Lambda function of the configuration, in AWS or here: how many
processes it has, what was invoked since the start, and what went wrong last.`,
		Example: "  edge functions\n  edge functions invoke contact event.json",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.functions(command.Context()) },
	})
	invoke := c.jsonFlag(&cobra.Command{
		Use:   "invoke NAME EVENT.json",
		Short: "invoke a function with an event, and print what it answers",
		Long: `invoke has the running server invoke a function, with its credentials or its process. The
event is a file, or - for the standard input. What the function answers goes to the
standard output, the last 4 KB of its log to the standard error. It exits with 1 when
the function fails.`,
		Example: "  edge functions invoke contact event.json\n  echo '{}' | edge functions invoke tweet - | jq .",
		Args:    exactly("NAME", "EVENT.json"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.invoke(command.Context(), args[0], args[1], command.InOrStdin())
		},
	})
	command.AddCommand(invoke)
	return command
}

func (c *cli) functions(ctx context.Context) error {
	all, err := ask(ctx, c, (*admin.Client).Functions)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("FUNCTION", "RUNS", "PROCESSES", "IN FLIGHT", "INVOKED", "FAILED", "LAST ERROR")
	for _, f := range all {
		t.row(plain("%s", f.Name), plain("%s", f.Target), plain("%d", f.Processes), plain("%d", f.InFlight),
			plain("%d", f.Invocations), plain("%d", f.Failed()), lastError(f))
	}
	t.print(c.out)
	return nil
}

func lastError(f lambda.Status) cell {
	if f.LastError == "" {
		return cell{}
	}
	return cell{ago(f.LastErrorAt) + ": " + printable(f.LastError, 200), yellow}
}

// invoke prints what a function makes of the event in a file.
func (c *cli) invoke(ctx context.Context, name, file string, stdin io.Reader) error {
	event, err := readEvent(file, stdin)
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
	defer cancel()
	done := c.progress("the function works")
	got, err := client.InvokeFunction(ctx, name, event)
	done()
	if err != nil {
		return err
	}
	if c.json {
		err = c.printJSON(got)
	} else {
		_, _ = io.WriteString(c.err, got.Log)
		if len(got.Payload) > 0 {
			_, err = fmt.Fprintf(c.out, "%s\n", got.Payload)
		}
	}
	if err == nil && got.Error != "" {
		err = fmt.Errorf("%s: %s", name, got.Error)
	}
	return err
}

// readEvent reads one JSON value.
func readEvent(file string, stdin io.Reader) (json.RawMessage, error) {
	from := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	event, err := io.ReadAll(io.LimitReader(from, maxEventFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(event) > maxEventFile:
		return nil, fmt.Errorf("%s has more than %d bytes", file, maxEventFile)
	case !json.Valid(event):
		if file == "-" {
			file = "the standard input"
		}
		return nil, usage("%s is no JSON", file)
	}
	return bytes.TrimSpace(event), nil
}

// Functions returns what is known of every function.
func (s *server) Functions() []lambda.Status { return s.modules.functions.Status() }

// InvokeFunction invokes a function of the configuration in service.
func (s *server) InvokeFunction(ctx context.Context, name string, event []byte) (admin.Invocation, error) {
	return s.modules.invoke(ctx, name, event)
}
