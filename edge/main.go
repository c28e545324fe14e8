// Command edge terminates HTTPS for the hosts of one small SaaS and routes their requests to sites and target groups.
//
// In package main comes the command line, one file a subcommand, and serve.go, which wires the rooms together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// What a process of ours says by its exit status.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or an invalid configuration
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit status.
func execute(ctx context.Context, args []string, out, errOut io.Writer) int {
	c := &cli{out: out, err: errOut}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	invalid, isInvalid := errors.AsType[*invalidConfig](err)
	switch {
	case isInvalid:
		invalid.print(errOut)
		return exitUsage
	case !c.started || errors.As(err, new(*usageError)): // cobra refused the command line, or the command did
		fmt.Fprintf(errOut, "edge: %v\nTry `%s --help`.\n", err, command.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(errOut, "edge: %v\n", err)
		return exitFailed
	}
}

// cli is what the subcommands share: where they print, and the flags that all have.
type cli struct {
	out, err io.Writer
	started  bool   // cobra took the command line
	config   string // -c
	admin    string // --admin
	json     bool   // --json, where a command has it
}

// usageError is a command line that can't be meant.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "edge",
		Short: "HTTPS, routing, sites and health-checked targets for the hosts of a small SaaS, in one program",
		Long: `edge terminates HTTPS (HTTP/1.1, HTTP/2, HTTP/3) for your hosts and routes requests to
sites and target groups, by one file, edge.yaml. Certificates come from Let's Encrypt or
another CA that speaks ACME, from a local CA, or from files of yours.`,
		Version:           version().Version,
		Example:           "  edge init && edge run",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { c.started = true },
		DisableAutoGenTag: true,
	}
	root.PersistentFlags().StringVarP(&c.config, "config", "c", "", "configuration `FILE` (default /etc/edge/edge.yaml, else ./edge.yaml)")
	root.PersistentFlags().StringVar(&c.admin, "admin", "", "admin `SOCKET` of the running server (default $EDGE_ADMIN, else listen.admin of the configuration)")
	root.AddGroup(
		&cobra.Group{ID: "file", Title: "With the configuration:"},
		&cobra.Group{ID: "server", Title: "With the running server:"},
	)
	for _, command := range []*cobra.Command{c.initCommand(), c.runCommand(), c.checkCommand(), c.explainCommand(), c.preflightCommand(), c.trustCommand(), c.storeCommand()} {
		command.GroupID = "file"
		root.AddCommand(command)
	}
	for _, command := range []*cobra.Command{c.reloadCommand(), c.statusCommand(), c.certsCommand(), c.targetsCommand(), c.formsCommand(), c.functionsCommand(), c.webhooksCommand(), c.pluginsCommand(), c.jobsCommand(), c.apiCommand(), c.usersCommand(), c.tokensCommand()} {
		command.GroupID = "server"
		root.AddCommand(command)
	}
	root.AddCommand(c.versionCommand())
	return root
}

// exactly says in our words which arguments a command takes.
func exactly(names ...string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s needs %s", command.Name(), strings.Join(names, " and "))
		case len(args) == 0:
			return nil
		case len(names) == 0 && command.HasSubCommands():
			return usage("%s has no command %q; a file is named with -c FILE", command.Name(), args[0])
		case len(names) == 0:
			return usage("%s takes no argument, and was given %q; a file is named with -c FILE", command.Name(), args[0])
		case len(args) > len(names):
			return usage("%s takes %s, and was given %q too", command.Name(), strings.Join(names, " and "), args[len(names)])
		default:
			return nil
		}
	}
}

// jsonFlag gives a command --json.
func (c *cli) jsonFlag(command *cobra.Command) *cobra.Command {
	command.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return command
}
