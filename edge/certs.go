package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func (c *cli) certsCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "certs",
		Short:   "show each host's certificate: issuer, end, next renewal, last error",
		Example: "  edge certs --json",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.certs(command.Context()) },
	})
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
		if !st.NextRenewal.IsZero() {
			renewal = st.NextRenewal.Format(time.DateOnly)
		}
		t.row(plain("%s", st.Host), plain("%s", st.Issuer), ends, plain("%s", renewal), plain("%s", st.Source), cell{st.Error, red})
	}
	t.print(c.out)
	return nil
}
