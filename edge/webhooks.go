package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/plugins/sdk/fixture"
	"github.com/spf13/cobra"
)

func (c *cli) webhooksCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "webhooks",
		Short: "show the inbox of webhooks, deliver again, find out why a delivery is refused",
		Long: `webhooks shows for each source what was received of it: how many deliveries wait for
their plugin, are done, are dead (the plugin failed for days, or said that it never will),
or are quarantined (the plugin died three times with them).`,
		Example: "  edge webhooks\n  edge webhooks list github --state dead\n  edge webhooks redeliver --source github --since 24h --dead --dry-run",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.webhooks(command.Context()) },
	})
	command.AddCommand(c.webhooksListCommand(), c.webhooksShowCommand(), c.redeliverCommand(), c.webhooksExportCommand(), c.doctorCommand())
	return command
}

// selecting are the flags that say which deliveries are meant.
type selecting struct {
	state, since, until string
	filter              inbox.Filter
}

func (s *selecting) flags(command *cobra.Command) {
	command.Flags().StringVar(&s.filter.Type, "type", "", "only events of this `TYPE`, such as push")
	command.Flags().StringVar(&s.state, "state", "", "only those in this `STATE`: pending, done, dead, quarantined or kept")
	command.Flags().StringVar(&s.since, "since", "", "only those received since this `TIME`: 24h or 7d ago, or 2026-01-31T12:00:00Z")
	command.Flags().StringVar(&s.until, "until", "", "only those received before this `TIME`")
}

// read makes a filter of the flags.
func (s *selecting) read() (inbox.Filter, error) {
	f := s.filter
	switch f.State = inbox.State(s.state); f.State {
	case "", inbox.Pending, inbox.Done, inbox.Dead, inbox.Quarantined, inbox.Kept:
	default:
		return f, usage("--state is pending, done, dead, quarantined or kept, and not %q", s.state)
	}
	var err error
	if f.Since, err = moment("--since", s.since); err != nil {
		return f, err
	}
	f.Until, err = moment("--until", s.until)
	return f, err
}

// moment reads a time, or how long ago it was; "" is the zero time.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := config.ParseDuration(text)
	if err != nil {
		return time.Time{}, usage("%s %q is neither a duration such as 24h or 7d, nor a time such as 2026-01-31T12:00:00Z", flag, text)
	}
	return time.Now().Add(-ago), nil
}

func (c *cli) webhooksListCommand() *cobra.Command {
	var s selecting
	command := c.jsonFlag(&cobra.Command{
		Use:     "list SOURCE",
		Short:   "list the deliveries of a source, the newest first",
		Example: "  edge webhooks list github\n  edge webhooks list billing --type invoice.paid --since 7d --json",
		Args:    exactly("SOURCE"),
		RunE: func(command *cobra.Command, args []string) error {
			f, err := s.read()
			if err != nil {
				return err
			}
			f.Source = args[0]
			return c.listDeliveries(command.Context(), f)
		},
	})
	s.flags(command)
	command.Flags().IntVarP(&s.filter.Limit, "limit", "n", 50, "how many at most, up to 500")
	return command
}

func (c *cli) webhooksShowCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "show ID",
		Short:   "show all of a delivery, and each attempt to handle it",
		Example: "  edge webhooks show 0199e2c4-…",
		Args:    exactly("ID"),
		RunE:    func(command *cobra.Command, args []string) error { return c.showDelivery(command.Context(), args[0]) },
	})
}

func (c *cli) redeliverCommand() *cobra.Command {
	var s selecting
	var dead, dry bool
	command := c.jsonFlag(&cobra.Command{
		Use:   "redeliver [ID…]",
		Short: "have deliveries handled again: by id, or those of a source",
		Long: `redeliver gives deliveries to their plugin again, as they were received and with the same
ids, with a new series of attempts. Without ids it takes those of a source that
the flags select, also those that are done; --dry-run says which these are.`,
		Example: "  edge webhooks redeliver 0199e2c4-…\n  edge webhooks redeliver --source github --since 24h --dead --dry-run",
		RunE: func(command *cobra.Command, ids []string) error {
			f, err := s.read()
			switch {
			case err != nil:
				return err
			case dead && s.state != "":
				return usage("--dead is --state dead; there is one state at a time")
			case len(ids) > 0 && f != (inbox.Filter{}) || len(ids) > 0 && dead:
				return usage("redeliver takes ids, or flags that select, and not both")
			case len(ids) == 0 && f.Source == "":
				return usage("redeliver needs ids, or a --source")
			}
			if dead {
				f.State = inbox.Dead
			}
			return c.redeliver(command.Context(), inbox.Selection{IDs: ids, Filter: f}, dry)
		},
	})
	s.flags(command)
	command.Flags().StringVar(&s.filter.Source, "source", "", "only those of this `SOURCE`")
	command.Flags().BoolVar(&dead, "dead", false, "only those that are dead")
	command.Flags().BoolVar(&dry, "dry-run", false, "only say which these are")
	return command
}

func (c *cli) webhooksExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export ID",
		Short: "print a delivery as a fixture, for `edge plugins test` and a plugin's own tests",
		Long: `export prints a delivery as JSON: the source, the event, and what was sent, byte by byte.
Credentials among the header fields were never kept.`,
		Example: "  edge webhooks export 0199e2c4-… > testdata/push.json",
		Args:    exactly("ID"),
		RunE:    func(command *cobra.Command, args []string) error { return c.exportDelivery(command.Context(), args[0]) },
	}
}

func (c *cli) doctorCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "doctor SOURCE",
		Short: "say why the deliveries of a source are refused",
		Long: `doctor looks at what a source has sent and was refused (the server remembers the last
ones), and says what would make it fit: another secret, a body that something on the way
has changed, an encoding, a clock, an address.`,
		Example: "  edge webhooks doctor github",
		Args:    exactly("SOURCE"),
		RunE:    func(command *cobra.Command, args []string) error { return c.doctor(command.Context(), args[0]) },
	})
}

func (c *cli) webhooks(ctx context.Context) error {
	all, err := ask(ctx, c, (*admin.Client).Sources)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("SOURCE", "VERIFIED", "PLUGIN", "PENDING", "DONE", "DEAD", "QUARANTINED", "OLDEST PENDING", "LAST RECEIVED", "STATE")
	for _, s := range all {
		oldest, last := cell{}, plain("never")
		if !s.Oldest.IsZero() {
			oldest = plain("%s", ago(s.Oldest))
		}
		if !s.Last.IsZero() {
			last = plain("%s", ago(s.Last))
		}
		state := cell{"ready", green}
		switch {
		case s.Verify == "":
			state = cell{"configured no longer", yellow}
		case s.Plugin == "":
			state = plain("kept only")
		case s.Paused:
			state = cell{"waiting for its plugin: " + printable(s.LastError, 80), yellow}
		}
		t.row(plain("%s", s.Source), plain("%s", s.Verify), plain("%s", s.Plugin), plain("%d", s.Pending), plain("%d", s.Done+s.Kept),
			alarming(s.Dead), alarming(s.Quarantined), oldest, last, state)
	}
	t.print(c.out)
	return nil
}

// alarming is a number that should be 0.
func alarming(n int) cell {
	c := plain("%d", n)
	if n > 0 {
		c.paint = red
	}
	return c
}

func (c *cli) listDeliveries(ctx context.Context, f inbox.Filter) error {
	found, err := askFor(ctx, c, (*admin.Client).Deliveries, f)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(found)
	}
	t := new(table)
	t.head("ID", "RECEIVED", "STATE", "TYPE", "EVENT", "ATTEMPTS", "WHY")
	for _, d := range found {
		t.row(plain("%s", d.ID), plain("%s", ago(d.At)), deliveryCell(d), plain("%s", printable(d.Type, 40)), plain("%s", printable(d.EventID, 40)),
			plain("%d", d.Tries), plain("%s", printable(d.Error, 120)))
	}
	t.print(c.out)
	return nil
}

func deliveryCell(d inbox.Delivery) cell {
	paint := map[inbox.State]string{inbox.Done: green, inbox.Kept: green, inbox.Dead: red, inbox.Quarantined: red}
	return cell{string(d.State), paint[d.State]}
}

// maxShown bounds a body on the terminal, in characters.
const maxShown = 4000

func (c *cli) showDelivery(ctx context.Context, id string) error {
	d, err := askFor(ctx, c, (*admin.Client).Delivery, id)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(d)
	}
	t := new(table)
	t.row(plain("delivery"), plain("%s", d.ID))
	t.row(plain("source"), plain("%s", d.Source))
	t.row(plain("event"), plain("%s", printable(d.EventID, 256)))
	t.row(plain("type"), plain("%s", printable(d.Type, 256)))
	if d.Key != "" {
		t.row(plain("key"), plain("%s", printable(d.Key, 256)))
	}
	t.row(plain("state"), deliveryCell(d))
	if d.Error != "" {
		t.row(plain("error"), plain("%s", printable(d.Error, 400)))
	}
	t.row(plain("received"), plain("%s", d.At.Format(time.RFC3339)))
	t.row(plain("client"), plain("%s", d.Client))
	t.row(plain("request id"), plain("%s", d.RequestID))
	if d.State == inbox.Pending {
		t.row(plain("next"), plain("%s", d.Next.Format(time.RFC3339)))
	}
	for _, a := range d.Attempts {
		said := fmt.Sprintf("%s, %s, took %s", a.At.Format(time.RFC3339), a.Outcome, a.Took.Round(time.Millisecond))
		if a.Reason != "" {
			said += ": " + printable(a.Reason, 300)
		}
		t.row(plain("attempt %d", a.N), plain("%s", said))
	}
	t.row(plain("request"), plain("%s %s", d.Method, printable(d.Path, 400)))
	for _, f := range d.Header {
		t.row(plain("  %s", printable(f.Name, 64)), plain("%s", printable(f.Value, 400)))
	}
	t.print(c.out)
	_, err = fmt.Fprintf(c.out, "\n%s\n", printable(string(d.Body[:min(len(d.Body), 4*maxShown)]), maxShown))
	return err
}

func (c *cli) redeliver(ctx context.Context, s inbox.Selection, dryRun bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	done := c.progress("deliveries are looked up")
	ids, err := client.Redeliver(ctx, s, dryRun)
	done()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(ids)
	}
	for _, id := range ids {
		fmt.Fprintln(c.out, id)
	}
	said := "to be handled again"
	if dryRun {
		said = "would be handled again"
	}
	_, err = fmt.Fprintf(c.err, "%s %s\n", count(len(ids), "delivery|deliveries"), said)
	return err
}

func (c *cli) doctor(ctx context.Context, source string) error {
	report, err := askFor(ctx, c, (*admin.Client).Doctor, source)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(report)
	}
	return printReport(c.out, report)
}

// Sources returns the sources of webhooks.
func (s *server) Sources(ctx context.Context) ([]admin.Source, error) { return s.modules.sources(ctx) }

// sources are the sources as they are configured, and what the store and this process know of them.
func (m *modules) sources(ctx context.Context) ([]admin.Source, error) {
	counts, err := m.inbox.Counts(ctx)
	if err != nil {
		return nil, err
	}
	requests, deliveries := m.webhooks.Counts(), m.dispatcher.Status()
	all := make([]admin.Source, 0, len(counts))
	for _, c := range counts {
		configured, ok := (*m.sourcesNow.Load())[c.Source]
		source := admin.Source{Count: c, Plugin: configured.Plugin, Requests: map[string]uint64{}}
		if ok {
			source.Verify = cmp.Or(configured.Verify.Scheme, "hmac")
		}
		if configured.Expect > 0 {
			source.Expect = configured.Expect.String()
		}
		for _, r := range requests {
			if r.Source == c.Source && r.N > 0 {
				source.Requests[r.Outcome.String()] = r.N
			}
		}
		for _, d := range deliveries {
			if d.Source == c.Source {
				source.UnderWay, source.Paused, source.LastError = d.Busy, d.Paused, d.Error
			}
		}
		all = append(all, source)
	}
	return all, nil
}

// expected is how long a source may be silent; 0 for any time.
func (m *modules) expected(source string) time.Duration { return (*m.sourcesNow.Load())[source].Expect }

// Deliveries returns those that a filter asks for, without what was sent.
func (s *server) Deliveries(ctx context.Context, f inbox.Filter) ([]inbox.Delivery, error) {
	found, err := s.modules.inbox.List(ctx, f)
	if err == nil && len(found) == 0 {
		err = s.hasSource(f.Source)
	}
	return found, err
}

// hasSource is an error when the configuration has no such source. One that it had may have deliveries still.
func (s *server) hasSource(name string) error {
	if _, ok := s.generation().cfg.Webhooks[name]; !ok && name != "" {
		return fmt.Errorf("there is no source %q: %w", name, fault.NotFound)
	}
	return nil
}

// Delivery returns one delivery, whole.
func (s *server) Delivery(ctx context.Context, id string) (inbox.Delivery, error) {
	return s.modules.inbox.Get(ctx, id)
}

// Redeliver has deliveries handled again.
func (s *server) Redeliver(ctx context.Context, selection inbox.Selection, dryRun bool) ([]string, error) {
	ids, err := s.modules.inbox.Redeliver(ctx, selection, dryRun)
	if err == nil && len(ids) == 0 {
		err = s.hasSource(selection.Filter.Source)
	}
	return ids, err
}

// Doctor says why a source's deliveries are refused.
func (s *server) Doctor(ctx context.Context, source string) (webhooks.Report, error) {
	return s.modules.webhooks.Doctor(ctx, source)
}

// exportDelivery prints a delivery as a fixture.
func (c *cli) exportDelivery(ctx context.Context, id string) error {
	d, err := askFor(ctx, c, (*admin.Client).Delivery, id)
	if err != nil {
		return err
	}
	event := fixture.Event{Source: d.Source, EventID: d.EventID, Type: d.Type, Received: d.At, Method: d.Method, Path: d.Path, Body: d.Body}
	for _, f := range d.Header {
		event.Header = append(event.Header, fixture.Field(f))
	}
	data, err := event.Marshal()
	if err != nil {
		return err
	}
	_, err = c.out.Write(data)
	return err
}

// printReport says for people why deliveries were refused.
func printReport(w io.Writer, r webhooks.Report) error {
	_, err := fmt.Fprintln(w, r.Summary)
	for _, d := range r.Diagnoses {
		_, said := fmt.Fprintf(w, "\n%s from %s: %s %s, %d bytes: %s\n", d.At.Local().Format(time.DateTime), d.Client, d.Method, printable(d.URL, 200), d.Bytes, d.Reason)
		err = errors.Join(err, said)
		for _, finding := range d.Findings {
			_, said := fmt.Fprintf(w, "  - %s\n", printable(finding, 600))
			err = errors.Join(err, said)
		}
	}
	return err
}
