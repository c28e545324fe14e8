package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/target"
	"github.com/spf13/cobra"
)

func (c *cli) targetsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "targets",
		Short: "show the targets' health, or change target groups without a reload",
		Long: `targets shows every target with its health, the reason for it, its requests in
flight and its weight. Changes made with add, drain and remove hold through reloads,
until the file says something else of the very target; a restart forgets them.`,
		Example: "  edge targets\n  edge targets add app http://127.0.0.1:3001\n  edge targets drain app http://127.0.0.1:3000",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.targets(command.Context()) },
	})
	var weight int
	add := c.targetChange("add", "add a target, or change one's weight; a new one gets requests once a health check passes", "added",
		func(ctx context.Context, client *admin.Client, group, url string) error {
			return client.AddTarget(ctx, group, url, weight)
		})
	add.Flags().IntVar(&weight, "weight", 1, "its share of requests, beside the others'")
	command.AddCommand(add,
		c.targetChange("drain", "let a target finish what it has and give it nothing new", "draining",
			func(ctx context.Context, client *admin.Client, group, url string) error {
				return client.DrainTarget(ctx, group, url)
			}),
		c.targetChange("remove", "drain a target and forget it", "removed, when it has finished what it has",
			func(ctx context.Context, client *admin.Client, group, url string) error {
				return client.RemoveTarget(ctx, group, url)
			}))
	return command
}

func (c *cli) targetChange(verb, short, done string, change func(ctx context.Context, client *admin.Client, group, url string) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " GROUP URL",
		Short:   short,
		Example: fmt.Sprintf("  edge targets %s app http://127.0.0.1:3001", verb),
		Args:    exactly("a target group", "a URL"),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(command.Context(), askTimeout)
			defer cancel()
			if err := change(ctx, client, args[0], args[1]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.out, "%s: %s: %s\n", args[0], args[1], done)
			return err
		},
	}
}

func (c *cli) targets(ctx context.Context) error {
	groups, err := ask(ctx, c, (*admin.Client).Targets)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(groups)
	}
	t := new(table)
	t.head("GROUP", "TARGET", "STATE", "IN FLIGHT", "WEIGHT", "SINCE", "REASON")
	for _, group := range groups {
		for _, tg := range group.Targets {
			t.row(plain("%s", group.Group), plain("%s", tg.Target), stateCell(group, tg), plain("%d", tg.InFlight),
				plain("%d", tg.Weight), plain("%s", ago(tg.Since)), plain("%s", reasonText(tg)))
		}
	}
	t.print(c.out)
	return nil
}

// stateCell is a target's state: green if it gets requests because it is healthy, red if it should and can't.
func stateCell(group target.GroupStatus, tg target.TargetStatus) cell {
	state := cell{text: string(tg.State)}
	switch tg.State {
	case target.Healthy, target.Unavailable:
		state.paint = green
	case target.Unhealthy:
		state.paint = red
	default:
		state.paint = yellow
	}
	if group.FailOpen && tg.EffectiveWeight > 0 {
		state.text += ", used all the same"
	}
	return state
}

func reasonText(tg target.TargetStatus) string {
	text := string(tg.Reason)
	if tg.Description != "" {
		text = strings.TrimPrefix(text+": "+tg.Description, ": ")
	}
	if tg.EjectedUntil != nil {
		text += "; no requests until " + tg.EjectedUntil.Local().Format(time.TimeOnly)
	}
	return text
}
