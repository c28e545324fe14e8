package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onehost/edge/core/api"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/sqlite"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/plugins/host"
	"github.com/onehost/edge/plugins/sdk/fixture"
	"github.com/onehost/edge/plugins/services"
	"github.com/spf13/cobra"
)

const (
	tryStart = 15 * time.Second // until the plugin is of service
	tryLook  = 20 * time.Millisecond
)

func (c *cli) pluginsTestCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "test NAME EVENT.json",
		Short: "start a plugin apart from the server, and give it one delivery",
		Long: `test starts a process of the plugin NAME of the configuration, or of the program whose path
NAME is, gives it the delivery that is in a file (-: standard input), and prints what came
of it. The process has a store of its own that is thrown away; mail is printed instead of
being sent. With a NAME it has the content API, too: the configuration's types, without an
entry. The running server, its store and its plugins are not touched. It exits with 1 unless
the outcome is ok or skip.`,
		Example: "  edge webhooks export 0199e2c4-… > push.json && edge plugins test planner push.json\n  edge plugins test ./hello/hello hello/testdata/event.json",
		Args:    exactly("NAME", "EVENT.json"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.tryPlugin(command.Context(), args[0], args[1], command.InOrStdin())
		},
	})
}

func (c *cli) tryPlugin(ctx context.Context, name, file string, stdin io.Reader) error {
	event, err := readFixture(file, stdin)
	if err != nil {
		return usage("%s", err)
	}
	cfg, name, err := c.pluginToTry(name)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "edge")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	log := slog.New(slog.NewTextHandler(c.err, nil))
	kept, err := sqlite.Open(ctx, filepath.Join(folder, "try.db"), log)
	if err != nil {
		return err
	}
	defer kept.Close()
	options := services.Options{Folder: filepath.Join(folder, "s"), Store: kept, Mailer: printedMail{c}, Log: log}
	if cfg.API != nil {
		if options.API, err = c.emptyContent(ctx, cfg, folder, kept); err != nil {
			return err
		}
	}
	offered := services.New(options)
	plugins := host.New(host.Options{Folder: filepath.Join(folder, "p"), Services: offered, Version: version().Version, Log: log})
	plan, err := plugins.Plan(cfg)
	if err != nil {
		return err
	}
	plan.Commit()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- plugins.Run(running) }()
	outcome, err := tried(ctx, plugins, deliveryOf(event, cfg, name))
	stop()
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	return c.printOutcome(outcome)
}

// readFixture reads a delivery from a file, or from standard input.
func readFixture(file string, stdin io.Reader) (fixture.Event, error) {
	if file != "-" {
		return fixture.Load(file)
	}
	data, err := io.ReadAll(io.LimitReader(stdin, fixture.MaxBytes+1))
	if err != nil {
		return fixture.Event{}, err
	}
	return fixture.Parse(data)
}

// pluginToTry is a configuration with one plugin: of that name, or of the program at that path.
func (c *cli) pluginToTry(name string) (*config.Config, string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		command, err := filepath.Abs(name)
		if err != nil {
			return nil, "", err
		}
		name = filepath.Base(name)
		return &config.Config{Plugins: map[string]config.Plugin{name: {Command: command, May: []string{"mail"}}}}, name, nil
	}
	path, err := c.configPath()
	if err != nil {
		return nil, "", err
	}
	cfg, _, err := load(path)
	if err != nil {
		return nil, "", err
	}
	plugin, ok := cfg.Plugins[name]
	if !ok {
		return nil, "", usage("there is no plugin %q in %s; the path of a program has a / in it", name, path)
	}
	plugin.Watch = false
	return &config.Config{Plugins: map[string]config.Plugin{name: plugin}, Webhooks: cfg.Webhooks, API: cfg.API}, name, nil
}

// emptyContent is a content API with the types of the configuration, and without entries.
func (c *cli) emptyContent(ctx context.Context, cfg *config.Config, folder string, kept store.Store) (services.API, error) {
	own := *cfg.API
	own.Uploads.Folder, own.Uploads.S3 = filepath.Join(folder, "uploads"), nil
	quiet := slog.New(slog.DiscardHandler) // that all its types are new
	content := api.New(api.Options{Store: kept, Mailer: printedMail{c}, Key: make([]byte, 32), Log: quiet})
	plan, err := content.Plan(&config.Config{API: &own})
	if err != nil {
		return nil, err
	}
	if err := plan.Prepare(ctx); err != nil {
		return nil, err
	}
	plan.Commit()
	return pluginEntries{content}, nil
}

func deliveryOf(e fixture.Event, cfg *config.Config, plugin string) inbox.Delivery {
	d := inbox.Delivery{
		ID: store.NewID(), Source: e.Source, EventID: e.EventID, Type: e.Type, Plugin: plugin, At: e.Received, Method: cmp.Or(e.Method, "POST"), Path: e.Path, Body: e.Body,
		Sync: cfg.Webhooks[e.Source].Sync != nil,
	}
	if d.At.IsZero() {
		d.At = time.Now()
	}
	for _, f := range e.Header {
		d.Header = append(d.Header, inbox.Field(f))
	}
	return d
}

// tried gives the delivery to the plugin as soon as it is of service.
func tried(ctx context.Context, plugins *host.Host, d inbox.Delivery) (dispatch.Outcome, error) {
	start := time.Now()
	for {
		outcome, err := plugins.Handle(ctx, d, 1)
		if !errors.As(err, new(*dispatch.Down)) {
			return outcome, err
		}
		for _, p := range plugins.Status() {
			if p.Error != "" {
				return outcome, fmt.Errorf("%s: %s", p.Name, p.Error)
			}
		}
		if time.Since(start) > tryStart {
			return outcome, err
		}
		select {
		case <-ctx.Done():
			return outcome, ctx.Err()
		case <-time.After(tryLook):
		}
	}
}

// triedOutcome is an outcome as JSON has it.
func triedOutcome(o dispatch.Outcome) any {
	type answer struct {
		Status int           `json:"status"`
		Header []inbox.Field `json:"header,omitempty"`
		Body   string        `json:"body"`
	}
	said := struct {
		Outcome dispatch.Kind `json:"outcome"`
		Reason  string        `json:"reason,omitempty"`
		After   string        `json:"after,omitempty"`
		Answer  *answer       `json:"answer,omitempty"`
	}{Outcome: o.Kind, Reason: o.Reason}
	if o.After > 0 {
		said.After = o.After.String()
	}
	if o.Answer != nil {
		said.Answer = &answer{cmp.Or(o.Answer.Status, 200), o.Answer.Header, string(o.Answer.Body)}
	}
	return said
}

// printOutcome prints what came of a delivery; what is neither ok nor skip is an error.
func (c *cli) printOutcome(o dispatch.Outcome) error {
	switch {
	case c.json:
		if err := c.printJSON(triedOutcome(o)); err != nil {
			return err
		}
	default:
		fmt.Fprintln(c.out, strings.TrimRight(string(o.Kind)+" "+printable(o.Reason, 400), " "))
		if o.Answer != nil {
			fmt.Fprintf(c.out, "answer %d\n", cmp.Or(o.Answer.Status, 200))
			for _, f := range o.Answer.Header {
				fmt.Fprintf(c.out, "%s: %s\n", f.Name, printable(f.Value, 400))
			}
			fmt.Fprintf(c.out, "\n%s\n", o.Answer.Body)
		}
	}
	if o.Kind != dispatch.OK && o.Kind != dispatch.Skip {
		return fmt.Errorf("the plugin did not take it: %s", o.Kind)
	}
	return nil
}

// printedMail is mail that is seen instead of sent.
type printedMail struct{ *cli }

// Send prints a message.
func (p printedMail) Send(_ context.Context, m mail.Message) error {
	_, err := fmt.Fprintf(p.err, "mail to %s: %s\n%s\n", strings.Join(m.To, ", "), m.Subject, cmp.Or(m.Text, m.HTML))
	return err
}
