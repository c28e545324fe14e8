package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

func (c *cli) tokensCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "tokens",
		Short: "list the API tokens of the content API, create and revoke them",
		Long: `tokens lists the tokens by which programs use the content API: Authorization: Bearer TOKEN.
A token is shown once, when it is made.`,
		Example: "  edge tokens\n  edge tokens create site --type read-only --expires 90d > token\n  edge tokens create importer --type custom --permissions article.find,article.create\n  edge tokens revoke site",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.tokens(command.Context()) },
	})
	command.AddCommand(c.tokensCreateCommand(), c.tokensRevokeCommand(), c.rotateKeyCommand())
	return command
}

func (c *cli) tokens(ctx context.Context) error {
	all, err := ask(ctx, c, (*admin.Client).Tokens)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("NAME", "TYPE", "PERMISSIONS", "CREATED", "EXPIRES", "LAST USED")
	for _, one := range all {
		expires, used := plain("never"), plain("never")
		switch {
		case one.ExpiresAt.IsZero():
		case one.ExpiresAt.Before(time.Now()):
			expires = cell{"expired", red}
		default:
			expires = plain("in %s", span(time.Until(one.ExpiresAt)))
		}
		if !one.UsedAt.IsZero() {
			used = plain("%s", ago(one.UsedAt))
		}
		t.row(plain("%s", one.Name), plain("%s", one.Kind), plain("%s", strings.Join(one.Permissions, ",")), plain("%s", ago(one.CreatedAt)), expires, used)
	}
	t.print(c.out)
	return nil
}

func (c *cli) tokensCreateCommand() *cobra.Command {
	var kind, expires string
	var permissions []string
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "make an API token and print it, alone, on standard output",
		Long: `create makes a token for a program and prints it: nobody can be shown it again.
full-access may do everything, read-only reads everything, custom what --permissions says.
Rules of ownership (api.access) are for people: a token sees the entries of everybody.`,
		Example: "  edge tokens create site --type read-only --expires 90d > token\n  edge tokens create importer --type custom --permissions article.find,article.create",
		Args:    exactly("NAME"),
		RunE: func(command *cobra.Command, args []string) error {
			t := admin.NewToken{Name: args[0], Kind: access.TokenKind(kind), Permissions: permissions}
			switch t.Kind {
			case access.FullAccess, access.ReadOnly, access.Custom:
			default:
				return usage("--type is full-access, read-only or custom, and not %q", kind)
			}
			if (t.Kind == access.Custom) != (len(permissions) > 0) {
				return usage("--permissions belongs to --type custom, and custom needs it: --permissions article.find,article.create")
			}
			if expires != "" {
				last, err := config.ParseDuration(expires)
				if err != nil || last <= 0 {
					return usage("--expires %q is no duration such as 24h or 90d", expires)
				}
				t.Expires = time.Now().Add(last)
			}
			token, err := askFor(command.Context(), c, (*admin.Client).CreateToken, t)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.out, token)
			return err
		},
	}
	command.Flags().StringVar(&kind, "type", string(access.ReadOnly), "what it may: `TYPE` full-access, read-only or custom")
	command.Flags().StringSliceVar(&permissions, "permissions", nil, "what a custom one may: `LIST` of article.find,article.create")
	command.Flags().StringVar(&expires, "expires", "", "how long it is good: `TIME` such as 90d; default: until it is revoked")
	return command
}

func (c *cli) tokensRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME",
		Short:   "end an API token, at once",
		Example: "  edge tokens revoke site",
		Args:    exactly("NAME"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.tell(command.Context(), args[0]+" is revoked", func(client *admin.Client, ctx context.Context) error { return client.RevokeToken(ctx, args[0]) })
		},
	}
}

func (c *cli) rotateKeyCommand() *cobra.Command {
	var atOnce bool
	command := &cobra.Command{
		Use:   "rotate-key",
		Short: "sign what logins get (JWTs) with a new key",
		Long: `rotate-key has new logins signed with a new key. Those who are logged in stay so until
their time has come; with --at-once everybody has to log in again. API tokens stay as they are.`,
		Example: "  edge tokens rotate-key\n  edge tokens rotate-key --at-once",
		Args:    exactly(),
		RunE: func(command *cobra.Command, _ []string) error {
			done := "logins are signed with a new key"
			if atOnce {
				done += ", and everybody has to log in again"
			}
			return c.tell(command.Context(), done, func(client *admin.Client, ctx context.Context) error { return client.RotateKey(ctx, atOnce) })
		},
	}
	command.Flags().BoolVar(&atOnce, "at-once", false, "end all sessions")
	return command
}
