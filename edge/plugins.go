package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/plugins/host"
	"github.com/onehost/edge/plugins/scaffold"
	"github.com/spf13/cobra"
)

func (c *cli) pluginsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "plugins",
		Short: "show the plugins, make one, try one, take a new build into service",
		Long: `plugins shows the processes that handle webhooks and jobs: whether they run, what they
hold and what went wrong last.`,
		Example: "  edge plugins\n  edge plugins new hello --lang go\n  edge plugins reload hello",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.plugins(command.Context()) },
	})
	command.AddCommand(c.pluginsNewCommand(), c.pluginsTestCommand(), &cobra.Command{
		Use:   "reload NAME",
		Short: "take a new build of a plugin into service",
		Long: `reload starts the plugin's program anew beside the running one, and has it take over when
it is well. The old one finishes what it holds. If the new one does not start, the old
one stays, and reload says why.`,
		Example: "  go build -o bin/plugins/planner ./planner && edge plugins reload planner",
		Args:    exactly("NAME"),
		RunE:    func(command *cobra.Command, args []string) error { return c.reloadPlugin(command.Context(), args[0]) },
	})
	return command
}

func (c *cli) pluginsNewCommand() *cobra.Command {
	var lang string
	command := &cobra.Command{
		Use:   "new NAME",
		Short: "make a plugin: a folder with a program, its test, and a fixture",
		Long: `new makes the folder NAME with a plugin in it that builds, and passes its own test. All
that it needs of edge is in the folder.`,
		Example: "  edge plugins new hello\n  edge plugins new hello --lang python",
		Args:    exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			if lang != "go" && lang != "python" {
				return usage("--lang is go or python, and not %q", lang)
			}
			return c.newPlugin(args[0], lang)
		},
	}
	command.Flags().StringVar(&lang, "lang", "go", "`LANGUAGE` of the plugin: go or python")
	return command
}

func (c *cli) newPlugin(name, lang string) error {
	made, err := scaffold.New(name, name, lang)
	if code := fault.CodeOf(err); code != "" {
		return usage("%s", strings.TrimSuffix(err.Error(), ": "+code.Error()))
	}
	if err != nil {
		return err
	}
	for _, file := range made {
		fmt.Fprintln(c.out, filepath.Join(name, file))
	}
	_, err = fmt.Fprintf(c.err, "\n%s", scaffold.Next(name, name, lang))
	return err
}

func (c *cli) plugins(ctx context.Context) error {
	all, err := ask(ctx, c, (*admin.Client).Plugins)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("PLUGIN", "STATE", "PID", "SINCE", "RESTARTS", "MEMORY", "IN FLIGHT", "HANDLES", "LAST ERROR")
	for _, p := range all {
		t.row(plain("%s", p.Name), pluginState(p), plain("%d", p.PID), plain("%s", ago(p.Since)), plain("%d", p.Restarts),
			plain("%d MiB", p.RSS>>20), plain("%d", p.InFlight), plain("%s", handles(p)), cell{printable(p.Error, 200), yellow})
	}
	t.print(c.out)
	return nil
}

func pluginState(p host.Status) cell {
	paint := map[host.State]string{host.Running: green, host.CrashLoop: red}
	if colour, ok := paint[p.State]; ok {
		return cell{string(p.State), colour}
	}
	return cell{string(p.State), yellow}
}

// handles says what a plugin is for.
func handles(p host.Status) string {
	var what []string
	if p.Webhooks {
		what = append(what, "webhooks")
	}
	for _, job := range p.Jobs {
		what = append(what, "job "+job)
	}
	return printable(strings.Join(what, ", "), 80)
}

func (c *cli) reloadPlugin(ctx context.Context, name string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	done := c.progress("the new process starts")
	err = client.ReloadPlugin(ctx, name)
	done()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s: the new build is in service\n", name)
	return err
}

// Plugins returns what is known of every plugin.
func (s *server) Plugins() []host.Status { return s.modules.plugins.Status() }

// ReloadPlugin takes a new build of a plugin into service.
func (s *server) ReloadPlugin(ctx context.Context, name string) error {
	return s.modules.plugins.Reload(ctx, name)
}
