package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/smallstep/truststore"
	"github.com/spf13/cobra"
)

func (c *cli) trustCommand() *cobra.Command {
	var install bool
	command := &cobra.Command{
		Use:   "trust",
		Short: "show the local CA, or have this machine trust it",
		Long: `trust shows the root certificate of the local CA: its file, its fingerprint and the
names that it can sign for. With --install it is added to the trust store of this
machine and of Firefox, if that is here; sudo may ask for your password.`,
		Example: "  edge trust --install\n  curl --cacert \"$(edge trust --json | jq -r .file)\" https://localhost:8443",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return c.trust(install) },
	}
	command.Flags().BoolVar(&install, "install", false, "add it to the trust stores of this machine")
	return c.jsonFlag(command)
}

type localCA struct {
	File        string    `json:"file"`
	Fingerprint string    `json:"fingerprint"` // SHA-256, hexadecimal
	NotAfter    time.Time `json:"not_after"`
	Names       []string  `json:"names"` // what it can sign for: domains and ranges of addresses
}

func (c *cli) trust(install bool) error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	where, err := config.Locate(path, processEnv())
	if err != nil {
		return err
	}
	root, file, err := cert.ReadLocalCA(where.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no local CA at %s yet: `edge run` makes it when a host has the issuer local", file)
	} else if err != nil {
		return err
	}
	ca := localCA{File: file, Fingerprint: fmt.Sprintf("%x", sha256.Sum256(root.Raw)), NotAfter: root.NotAfter.UTC(), Names: root.PermittedDNSDomains}
	for _, network := range root.PermittedIPRanges {
		ca.Names = append(ca.Names, network.String())
	}
	if install {
		if err := truststore.Install(root, truststore.WithPrefix("edge"), truststore.WithFirefox()); err != nil {
			return fmt.Errorf("this machine's trust store: %w", err)
		}
	}
	if c.json {
		return c.printJSON(ca)
	}
	t := new(table)
	t.row(plain("file"), plain("%s", ca.File))
	t.row(plain("SHA-256"), plain("%s", ca.Fingerprint))
	t.row(plain("ends"), plain("%s", ca.NotAfter.Format(time.DateOnly)))
	for i, name := range ca.Names {
		label := ""
		if i == 0 {
			label = "signs for"
		}
		t.row(plain("%s", label), plain("%s", name))
	}
	t.print(c.out)
	if install {
		_, err = fmt.Fprintln(c.out, "This machine trusts it now. A browser that is running has to be started again.")
	} else {
		_, err = fmt.Fprintln(c.out, "\n`edge trust --install` has this machine trust it; other machines need the file.")
	}
	return err
}
