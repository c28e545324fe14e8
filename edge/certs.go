package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// orderTimeout is how long an order may take from the operator's side: longer than the server gives it.
const orderTimeout = 6 * time.Minute

func (c *cli) certsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "certs",
		Short: "show each host's certificate: issuer, end, next renewal, last error",
		Long: `certs shows what each host and alias is served under: who signed it, when it ends, when
it is renewed, and the issuer of the configuration, or the file, that it is from. ERROR is
why the next one could not be got, in the words of each CA, and is empty again once one
came. What else may be in the way, edge preflight says.`,
		Example: "  edge certs\n  edge certs --json | jq '.[] | select(.error)'",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.certs(command.Context()) },
	})
	command.AddCommand(&cobra.Command{
		Use:   "renew HOST",
		Short: "get a new certificate for a host at once",
		Long: `renew gets a new certificate for a host or an alias at once, whether or not one is due, and
waits for it. What the CA refuses is said in its words. The CA's rate limits hold: what they
do not allow is not asked for. It exits with 1 when there is no new certificate.`,
		Example: "  edge certs renew www.example.com",
		Args:    exactly("HOST"),
		RunE:    func(command *cobra.Command, args []string) error { return c.renew(command.Context(), args[0]) },
	})
	return command
}

// renew has the server get a new certificate, and says so while that takes long.
func (c *cli) renew(ctx context.Context, host string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	defer c.progress("waiting for the CA")()
	if err := client.RenewCertificate(ctx, host); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s has a new certificate\n", host)
	return nil
}

func (c *cli) certs(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	all, err := client.Certificates(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("HOST", "ISSUER", "ENDS", "RENEWAL", "SOURCE", "ERROR")
	for _, st := range all {
		left := time.Until(st.NotAfter)
		ends := cell{st.NotAfter.Format(time.DateOnly) + " (in " + span(left) + ")", green}
		switch life := st.NotAfter.Sub(st.NotBefore); {
		case st.Issuer == "":
			ends = cell{"no certificate", red}
		case left < 0:
			ends = cell{st.NotAfter.Format(time.DateOnly) + " (over)", red}
		case left < life/3:
			ends.paint = yellow
		}
		renewal := "by its owner"
		switch {
		case !st.NextTry.IsZero():
			renewal = "tried again in " + span(time.Until(st.NextTry))
		case !st.NextRenewal.IsZero() && time.Until(st.NextRenewal) < 48*time.Hour:
			renewal = "in " + span(time.Until(st.NextRenewal))
		case !st.NextRenewal.IsZero():
			renewal = st.NextRenewal.Format(time.DateOnly)
		case st.Issuer == "":
			renewal = "under way"
		}
		t.row(plain("%s", st.Host), plain("%s", st.Issuer), ends, plain("%s", renewal), plain("%s", st.Source), cell{st.Error, red})
	}
	t.print(c.out)
	return nil
}
