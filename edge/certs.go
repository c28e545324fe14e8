package main

import (
	"context"
	"fmt"
	"time"

	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/spf13/cobra"
)

// orderTimeout is how long an order may take from the operator's side: longer than the server gives it.
const orderTimeout = 6 * time.Minute

func (c *cli) certsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "certs",
		Short: "show each host's certificate: issuer, end, next renewal, last error",
		Long: `certs shows what each host and alias is served under: who signed it, when it ends, when
it is renewed, and the issuer of the configuration, or the file, that it is from. Below the
table stands why the next one could not be got, in the words of each CA, until one came.
What else may be in the way, edge preflight says.`,
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
		RunE: func(command *cobra.Command, args []string) error {
			if args[0] == "" {
				return usage("HOST is empty")
			}
			return c.renew(command.Context(), args[0])
		},
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
	all, err := ask(ctx, c, (*admin.Client).Certificates)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	certsTable(all).print(c.out)
	return c.printErrors(all)
}

// certsTable has what fits into a line for each name.
func certsTable(all []cert.Status) *table {
	t := new(table)
	t.head("HOST", "ISSUER", "ENDS", "RENEWAL", "SOURCE")
	for _, st := range all {
		name := cell{text: st.Host}
		if st.Error != "" {
			name.paint = red
		}
		t.row(name, plain("%s", st.Issuer), endCell(st), plain("%s", renewalText(st)), plain("%s", st.Source))
	}
	return t
}

// endCell says when a certificate ends, and how soon that is.
func endCell(st cert.Status) cell {
	date, left := st.NotAfter.Format(time.DateOnly), time.Until(st.NotAfter)
	switch {
	case st.NotAfter.IsZero() && st.Error == "":
		return cell{"none yet", yellow}
	case st.NotAfter.IsZero():
		return cell{"no certificate", red}
	case left < 0:
		return cell{date + " (over)", red}
	case left < st.NotAfter.Sub(st.NotBefore)/3:
		return cell{date + " (" + span(left) + ")", yellow}
	default:
		return cell{date + " (" + span(left) + ")", green}
	}
}

// renewalText says when the next certificate is asked for, and by whom if that is not edge.
func renewalText(st cert.Status) string {
	switch {
	case !st.NextTry.IsZero():
		return "retry in " + span(time.Until(st.NextTry))
	case st.NextRenewal.IsZero() && st.NotAfter.IsZero():
		return "under way"
	case st.NextRenewal.IsZero():
		return "by its owner"
	case time.Until(st.NextRenewal) < 48*time.Hour:
		return "in " + span(time.Until(st.NextRenewal))
	default:
		return st.NextRenewal.Format(time.DateOnly)
	}
}

// printErrors writes a line for each name whose certificate could not be had: what CAs say is too long for a column.
func (c *cli) printErrors(all []cert.Status) error {
	errs := new(table)
	for _, st := range all {
		if st.Error != "" {
			errs.row(cell{st.Host + ": " + st.Error, red})
		}
	}
	if len(errs.rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(c.out); err != nil {
		return err
	}
	errs.print(c.out)
	return nil
}
