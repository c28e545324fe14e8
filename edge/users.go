package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/onehost/edge/core/api/accounts"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxPassword is more than any password has: what follows is not read.
const maxPassword = 4 << 10

func (c *cli) usersCommand() *cobra.Command {
	var f accounts.Filter
	command := c.jsonFlag(&cobra.Command{
		Use:   "users",
		Short: "list the accounts of the content API, add and change them",
		Long: `users lists accounts, the first made first. WHO in its commands is a username, an e-mail
address, the number or the documentId. A new password, and blocking somebody, ends all sessions.`,
		Example: "  edge users --search ann\n  edge users add ann --email ann@example.com --role editor\n  pwgen 20 1 | edge users password ann --password-stdin\n  edge users block ann",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.users(command.Context(), f) },
	})
	command.Flags().StringVar(&f.Search, "search", "", "only those with this `TEXT` in their username or address")
	command.Flags().StringVar(&f.Role, "role", "", "only those with this `ROLE`")
	command.Flags().IntVarP(&f.Limit, "limit", "n", 100, "how many at most, up to 1000")
	command.Flags().Int64Var(&f.After, "after", 0, "only those after this `NUMBER`")
	yes, no := true, false
	command.AddCommand(c.usersAddCommand(), c.usersPasswordCommand(), c.usersRoleCommand(),
		c.usersOrder("block", "let somebody in no more, and end all sessions", "is blocked", admin.UserChange{Blocked: &yes}),
		c.usersOrder("unblock", "let somebody in again", "may log in again", admin.UserChange{Blocked: &no}),
		c.usersOrder("logout", "end all sessions of somebody", "is logged out everywhere", admin.UserChange{Logout: true}),
		c.usersRemoveCommand())
	return command
}

func (c *cli) users(ctx context.Context, f accounts.Filter) error {
	found, err := askFor(ctx, c, (*admin.Client).Users, f)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(found)
	}
	t := new(table)
	t.head("ID", "USERNAME", "E-MAIL", "ROLE", "STATE", "SINCE")
	for _, u := range found {
		state := cell{"", ""}
		switch {
		case u.Blocked:
			state = cell{"blocked", red}
		case !u.Confirmed:
			state = cell{"not confirmed", yellow}
		}
		t.row(plain("%d", u.Number), plain("%s", printable(u.Username, 40)), plain("%s", printable(u.Email, 60)), plain("%s", u.Role), state, plain("%s", ago(u.CreatedAt)))
	}
	t.print(c.out)
	return nil
}

func (c *cli) usersAddCommand() *cobra.Command {
	var u admin.NewUser
	var stdin bool
	command := c.jsonFlag(&cobra.Command{
		Use:     "add NAME",
		Short:   "make an account, which can log in at once",
		Example: "  edge users add ann --email ann@example.com\n  pwgen 20 1 | edge users add ann --email ann@example.com --role editor --password-stdin",
		Args:    exactly("NAME"),
		RunE: func(command *cobra.Command, args []string) (err error) {
			if u.Email == "" {
				return usage("an account has an address: --email ann@example.com")
			}
			u.Username = args[0]
			if u.Password, err = c.password(command.InOrStdin(), stdin); err != nil {
				return err
			}
			made, err := askFor(command.Context(), c, (*admin.Client).AddUser, u)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(made)
			}
			_, err = fmt.Fprintf(c.out, "%s is user %d (%s)\n", made.Username, made.Number, made.Role)
			return err
		},
	})
	command.Flags().StringVar(&u.Email, "email", "", "the e-mail `ADDRESS`")
	command.Flags().StringVar(&u.Role, "role", "", "the `ROLE`; default: authenticated")
	command.Flags().BoolVar(&u.Blocked, "blocked", false, "let nobody log in yet")
	command.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input, its first line")
	return command
}

func (c *cli) usersPasswordCommand() *cobra.Command {
	var stdin bool
	command := &cobra.Command{
		Use:     "password WHO",
		Short:   "give somebody a new password, and end all sessions",
		Example: "  edge users password ann\n  pwgen 20 1 | edge users password ann --password-stdin",
		Args:    exactly("WHO"),
		RunE: func(command *cobra.Command, args []string) error {
			password, err := c.password(command.InOrStdin(), stdin)
			if err != nil {
				return err
			}
			return c.changeUser(command.Context(), args[0], admin.UserChange{Password: &password}, "has a new password, and is logged out everywhere")
		},
	}
	command.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input, its first line")
	return command
}

func (c *cli) usersRoleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "role WHO ROLE",
		Short:   "give somebody another role",
		Example: "  edge users role ann editor",
		Args:    exactly("WHO", "ROLE"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.changeUser(command.Context(), args[0], admin.UserChange{Role: &args[1]}, "has the role "+args[1])
		},
	}
}

func (c *cli) usersOrder(order, short, done string, change admin.UserChange) *cobra.Command {
	return &cobra.Command{
		Use:     order + " WHO",
		Short:   short,
		Example: "  edge users " + order + " ann",
		Args:    exactly("WHO"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.changeUser(command.Context(), args[0], change, done)
		},
	}
}

func (c *cli) usersRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "remove WHO",
		Short:   "remove an account; what it has made stays",
		Example: "  edge users remove ann",
		Args:    exactly("WHO"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.tell(command.Context(), args[0]+" is removed", func(client *admin.Client, ctx context.Context) error { return client.RemoveUser(ctx, args[0]) })
		},
	}
}

func (c *cli) changeUser(ctx context.Context, who string, change admin.UserChange, done string) error {
	return c.tell(ctx, who+" "+done, func(client *admin.Client, ctx context.Context) error { return client.ChangeUser(ctx, who, change) })
}

// tell has the server do something, and says that it is done.
func (c *cli) tell(ctx context.Context, done string, order func(*admin.Client, context.Context) error) error {
	_, err := ask(ctx, c, func(client *admin.Client, ctx context.Context) (struct{}, error) {
		return struct{}{}, order(client, ctx)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, done)
	return err
}

// password is asked for on the terminal, twice and without showing it, or read from standard input.
func (c *cli) password(in io.Reader, stdin bool) (string, error) {
	if stdin {
		line, err := bufio.NewReader(io.LimitReader(in, maxPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	terminal, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", usage("there is no terminal to ask for the password: give it with --password-stdin")
	}
	var said [2]string
	for i, question := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(c.err, question)
		typed, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(c.err)
		if err != nil {
			return "", err
		}
		said[i] = string(typed)
	}
	if said[0] != said[1] {
		return "", errors.New("the two are not the same: nothing was changed")
	}
	return said[0], nil
}
