package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/spf13/cobra"
)

// askTimeout is how long commands wait for the running server. A reload, which may wait for new targets to be healthy and bring many entries to changed content types, has
// the time of an order.
const askTimeout = 10 * time.Second

func (c *cli) reloadCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "reload",
		Short: "have the running server read its configuration again",
		Long: `reload has the running server read its configuration again. A bad one changes
nothing; new targets are waited for before they get requests, at most 30s. Changed content
types are brought to the entries that there are, or refused, with what contradicts them.
What did not change is not touched: health, connections, WebSockets, uploads.`,
		Example: "  edge check && edge reload",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.reload(command.Context()) },
	})
}

func (c *cli) reload(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	done := c.progress("waiting for new targets to be healthy, and for changed content types")
	outcome, err := client.Reload(ctx)
	done()
	if err != nil {
		return err
	}
	if c.json {
		if err := c.printJSON(outcome); err != nil || outcome.Applied {
			return err
		}
		return &invalidConfig{}
	}
	if !outcome.Applied {
		return &invalidConfig{outcome.Problems}
	}
	if err := config.Format(c.err, outcome.Problems); err != nil {
		return err
	}
	for _, change := range outcome.Changes {
		fmt.Fprintln(c.out, printable(change, maxReason))
	}
	if len(outcome.Unhealthy) > 0 {
		fmt.Fprintf(c.err, "warning: no healthy target yet in %s\n", strings.Join(outcome.Unhealthy, ", "))
	}
	_, err = fmt.Fprintf(c.out, "reloaded in %s\n", time.Duration(outcome.Seconds*float64(time.Second)).Round(time.Millisecond))
	return err
}
