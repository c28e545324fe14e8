package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/spf13/cobra"
)

// How long commands wait for the running server. A reload may wait for new targets to be healthy.
const (
	askTimeout    = 10 * time.Second
	reloadTimeout = targetsPatience + askTimeout
)

func (c *cli) reloadCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "reload",
		Short: "have the running server read its configuration again",
		Long: `reload has the running server read its configuration again. A bad one changes
nothing; new targets are waited for before they get requests, at most 30s.
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
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	done := c.progress("waiting for new targets to be healthy")
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
	if len(outcome.Unhealthy) > 0 {
		fmt.Fprintf(c.err, "warning: no healthy target yet in %s\n", strings.Join(outcome.Unhealthy, ", "))
	}
	_, err = fmt.Fprintf(c.out, "reloaded in %s\n", time.Duration(outcome.Seconds*float64(time.Second)).Round(time.Millisecond))
	return err
}
