package main

import (
	"context"
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/describe"
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

func (c *cli) apiCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "api",
		Short: "describe the content API, see who has changed what, take over a Strapi",
		Example: "  edge api types > src/api.ts\n  edge api openapi > openapi.json\n  edge api changes --type article\n" +
			"  edge api import strapi ../cms",
		Args: exactly(),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(c.openAPICommand(), c.typesCommand(), c.changesCommand(), c.importCommand())
	return command
}

func (c *cli) openAPICommand() *cobra.Command {
	var server string
	command := &cobra.Command{
		Use:   "openapi",
		Short: "print the OpenAPI document (3.1) of the content API",
		Long: `openapi prints what the content API takes and answers, made of the content types of the
configuration, as an OpenAPI document in JSON. The server is not asked.`,
		Example: "  edge api openapi --server https://api.example.com/api > openapi.json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			cfg, set, err := c.contentTypes()
			if err != nil {
				return err
			}
			if server == "" {
				server = cfg.API.Prefix
			}
			_, err = c.out.Write(describe.OpenAPI(set, describe.Options{
				Title: "Content API", Version: version().Version, Server: server, Refresh: cfg.API.Sessions.Refresh, Policy: access.New(cfg.API, set),
			}))
			return err
		},
	}
	command.Flags().StringVar(&server, "server", "", "the API's `URL` with its prefix; default: the prefix alone")
	return command
}

func (c *cli) typesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "types",
		Short: "print TypeScript types of the content types",
		Long: `types prints, for each content type, the TypeScript type of an entry as it is answered, and
of the data that makes or changes one. The server is not asked.`,
		Example: "  edge api types > src/api.ts",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, set, err := c.contentTypes()
			if err != nil {
				return err
			}
			_, err = c.out.Write(describe.TypeScript(set))
			return err
		},
	}
}

// contentTypes reads the content types of the configuration.
func (c *cli) contentTypes() (*config.Config, *schema.Set, error) {
	path, err := c.configPath()
	if err != nil {
		return nil, nil, err
	}
	cfg, _, err := load(path)
	if err != nil {
		return nil, nil, err
	}
	if cfg.API == nil {
		return nil, nil, usage("%s has no content API: describe it below api", path)
	}
	set, problems := schema.Load(cfg.API.Schemas, cfg.API.Locales)
	for _, p := range problems {
		if !p.Warning { // load has found it, unless the file has changed since
			return nil, nil, p
		}
	}
	return cfg, set, nil
}

func (c *cli) changesCommand() *cobra.Command {
	var f changes.Filter
	command := c.jsonFlag(&cobra.Command{
		Use:   "changes",
		Short: "list who has changed which entries, the latest first",
		Long: `changes lists what was created, changed, published and deleted by the content API, by whom,
and with which request (X-Request-Id, as in the access log).`,
		Example: "  edge api changes --type article\n  edge api changes --entry mjx0k3v2… --json\n  edge api changes --by user:mjx0k3v2… -n 200",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.changes(command.Context(), f) },
	})
	command.Flags().StringVar(&f.Type, "type", "", "only entries of this `TYPE`, such as article")
	command.Flags().StringVar(&f.Entry, "entry", "", "only the entry with this `DOCUMENTID`")
	command.Flags().StringVar(&f.By, "by", "", "only what `WHO` did: user:DOCUMENTID, token:NAME, plugin:NAME, public, or edge by commands")
	command.Flags().StringVar(&f.Request, "request", "", "only what was done by the request with this `ID`")
	command.Flags().IntVarP(&f.Limit, "limit", "n", 50, "how many at most, up to 500")
	return command
}

func (c *cli) changes(ctx context.Context, f changes.Filter) error {
	found, err := askFor(ctx, c, (*admin.Client).Changes, f)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(found)
	}
	t := new(table)
	t.head("WHEN", "ACTION", "TYPE", "ENTRY", "BY", "FIELDS", "REQUEST")
	for _, one := range found {
		t.row(plain("%s", ago(one.At)), plain("%s", one.Action), plain("%s", versioned(one)), plain("%s", one.Entry), plain("%s", one.By), plain("%s", strings.Join(one.Fields, ",")), plain("%s", one.Request))
	}
	t.print(c.out)
	return nil
}

// versioned names a type, and which version of its entry was changed.
func versioned(one admin.Change) string {
	about := one.Type
	if one.Locale != "" {
		about += " " + one.Locale
	}
	if one.Status == "draft" {
		about += " (draft)"
	}
	return about
}
