package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/onehost/edge/core/store/mongodb/users"
	"github.com/spf13/cobra"
)

// adminURIVariable is where the admin's URI is read from when no flag says it.
const adminURIVariable = "EDGE_ADMIN_URI"

// storeInit is what the command line says.
type storeInit struct {
	uri, database, rotate string
	subjects              []string
}

func (c *cli) storeInitCommand() *cobra.Command {
	var o storeInit
	command := &cobra.Command{
		Use:   "init",
		Short: "make MongoDB's users for the store, each with the least rights",
		Long: `init makes three users and their roles in a MongoDB replica set, and prints what goes into
edge.yaml. NAME is the database: edge, that of the URI's path, or that of --database.

  edge       reads and writes NAME and NAME_private, where keys, tokens and hashes are
  functions  reads and writes NAME_functions alone, for Lambda functions
  readonly   reads NAME and NAME_functions

Passwords are made here and shown once. Run it again at any time: roles become what they should
be, users that are there stay as they are. --rotate USER gives a new password to one user.

The admin needs the role userAdminAnyDatabase. Everybody on this machine can read command lines,
so the admin's URI is better not on one: set it in the environment as EDGE_ADMIN_URI, or write
--admin-uri - and give it on standard input.`,
		Example: `  edge store init --admin-uri - < admin-uri.txt
  EDGE_ADMIN_URI='mongodb://admin:…@db1,db2,db3/?authSource=admin' edge store init
  edge store init --admin-uri - --rotate functions < admin-uri.txt
  edge store init --admin-uri - --x509-subject 'edge=CN=host1,O=Example' < admin-uri.txt`,
		Args: exactly(),
		RunE: func(command *cobra.Command, _ []string) error {
			return c.storeInit(command.Context(), o, command.InOrStdin())
		},
	}
	command.Flags().StringVar(&o.uri, "admin-uri", "", "`URI` of the replica set with its admin, or - for standard input (default $"+adminURIVariable+")")
	command.Flags().StringVar(&o.database, "database", "", "`NAME` of the store's database (default that of the URI's path, else edge)")
	command.Flags().StringVar(&o.rotate, "rotate", "", "give this `USER` a new password, and change nothing else")
	command.Flags().StringArrayVar(&o.subjects, "x509-subject", nil, "`USER=SUBJECT`: who has a certificate with this subject (RFC 2253) logs in as USER, without a password; may be repeated")
	return c.jsonFlag(command)
}

func (c *cli) storeInit(ctx context.Context, o storeInit, in io.Reader) error {
	options, err := o.options(in)
	if err != nil {
		return err
	}
	made, err := c.makeUsers(ctx, options, o.rotate)
	if made == nil {
		return err
	}
	key := ""
	if made.First {
		key = newStoreKey()
	}
	if c.json {
		return errors.Join(c.printJSON(madeJSON(made, key)), err)
	}
	for _, warning := range warningsOf(made) {
		fmt.Fprintf(c.err, "warning: %s\n", warning)
	}
	_, printed := io.WriteString(c.out, madeText(made, key, o.rotate))
	return errors.Join(printed, err)
}

func (c *cli) makeUsers(ctx context.Context, o users.Options, rotate string) (*users.Made, error) {
	defer c.progress("talking to MongoDB")()
	if rotate != "" {
		return users.Rotate(ctx, o, rotate)
	}
	return users.Make(ctx, o)
}

// newStoreKey is what private keys are sealed with, as store.key in the configuration takes it.
func newStoreKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return base64.StdEncoding.EncodeToString(key)
}

func (o storeInit) options(in io.Reader) (users.Options, error) {
	uri, err := o.adminURI(in)
	if err != nil {
		return users.Options{}, err
	}
	if o.rotate != "" && len(o.subjects) > 0 {
		return users.Options{}, usage("--rotate and --x509-subject at once: a certificate has no password")
	}
	options := users.Options{AdminURI: uri, Database: o.database}
	for _, text := range o.subjects {
		user, subject, ok := strings.Cut(text, "=")
		if !ok || !strings.Contains(subject, "=") {
			return users.Options{}, usage("--x509-subject %q: write USER=SUBJECT, such as edge=CN=host1,O=Example", text)
		}
		if options.Subjects == nil {
			options.Subjects = make(map[string][]string)
		}
		options.Subjects[user] = append(options.Subjects[user], subject)
	}
	return options, nil
}

// maxAdminURI is how long an admin's URI may be, in bytes.
const maxAdminURI = 16 << 10

func (o storeInit) adminURI(in io.Reader) (string, error) {
	uri, from := o.uri, "--admin-uri"
	switch uri {
	case "":
		uri, from = os.Getenv(adminURIVariable), adminURIVariable
	case "-":
		line, err := bufio.NewReader(io.LimitReader(in, maxAdminURI)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the admin's URI from standard input: %w", err)
		}
		uri, from = line, "standard input"
	}
	uri = strings.TrimSpace(uri)
	switch {
	case uri == "" && from == adminURIVariable:
		return "", usage("init needs the URI of somebody who may make users: set %s=mongodb://USER:PASSWORD@HOST/?authSource=admin, or write --admin-uri - and give it on standard input", adminURIVariable)
	case uri == "":
		return "", usage("there is no URI on %s", from)
	}
	return uri, nil
}
