package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

func (c *cli) statusCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "show what the running server is doing",
		Long: `status shows the running server: its state, listeners, connections, hosts and targets.
A line attention is what needs a person: a host that has no certificate, or one of which
less than a third of its life is left while the next can't be got; a store that is not
ready. In JSON, red is true then. It exits with 0 as long as the server answers.`,
		Example: "  edge status\n  edge status --json | jq -e '.red | not'",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.status(command.Context()) },
	})
}

func (c *cli) status(ctx context.Context) error {
	st, err := ask(ctx, c, (*admin.Client).Status)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(st)
	}
	statusTable(st).print(c.out)
	return nil
}

// maxReason is how much of why a reload was refused goes into a line.
const maxReason = 600

func statusTable(st admin.Status) *table {
	t := new(table)
	state := cell{st.State, green}
	if st.State != "serving" {
		state.paint = yellow
	}
	t.row(plain("state"), state)
	for _, matter := range st.Attention {
		t.row(plain("attention"), cell{matter, red})
	}
	t.row(plain("version"), plain("%s", st.Version))
	t.row(plain("process"), plain("%d, started %s", st.PID, ago(st.Started)))
	configured := plain("%s, loaded %s", strings.Join(st.Files, ", "), ago(st.Loaded))
	if st.FilesDiffer {
		configured = cell{configured.text + "; the files have changed since (edge reload)", yellow}
	}
	t.row(plain("configuration"), configured)
	if st.ReloadError != "" {
		t.row(plain("last reload"), cell{"refused: " + printable(st.ReloadError, maxReason), red})
	}
	kept := plain("%s", st.Store.Name)
	if !st.Store.Ready {
		kept = cell{st.Store.Name + ", not ready", red}
	}
	t.row(plain("store"), kept)
	for _, ln := range st.Listeners {
		t.row(plain("%s", ln.Name), plain("%s", ln.Address))
	}
	var open []string
	for _, protocol := range slices.Sorted(maps.Keys(st.Connections)) {
		open = append(open, fmt.Sprintf("%d %s", st.Connections[protocol], protocol))
	}
	t.row(plain("connections"), plain("%s", strings.Join(open, ", ")))
	t.row(plain("hosts"), plain("%d", st.Hosts))
	targets := cell{fmt.Sprintf("%d of %d healthy", st.Healthy, st.Targets), green}
	if st.Healthy < st.Targets {
		targets.paint = yellow
	}
	t.row(plain("targets"), targets)
	return t
}
