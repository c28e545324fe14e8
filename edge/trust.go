package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/smallstep/truststore"
	"github.com/spf13/cobra"
)

func (c *cli) trustCommand() *cobra.Command {
	var install, uninstall bool
	command := &cobra.Command{
		Use:   "trust",
		Short: "show the local CA, or have this machine trust it",
		Long: `trust shows the root certificate of the local CA: its file, its fingerprint and the
names that it can sign for. With --install it is added to the trust store of this
machine, which curl and most programs use, and to those of Chrome and Firefox;
sudo may ask for your password. --uninstall takes it out again.`,
		Example: "  edge trust --install\n  curl --cacert \"$(edge trust --json | jq -r .file)\" https://localhost:8443",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			switch {
			case install && uninstall:
				return usage("--install and --uninstall at once")
			case install:
				return c.changeTrust(trustInBrowsers, truststore.Install, "trusted")
			case uninstall:
				return c.changeTrust(distrustInBrowsers, truststore.Uninstall, "not trusted any more")
			default:
				return c.showTrust()
			}
		},
	}
	command.Flags().BoolVar(&install, "install", false, "add it to the trust stores of this machine and its browsers")
	command.Flags().BoolVar(&uninstall, "uninstall", false, "remove it from them")
	return c.jsonFlag(command)
}

type localCA struct {
	File        string    `json:"file"`
	Fingerprint string    `json:"fingerprint"` // SHA-256, hexadecimal
	NotAfter    time.Time `json:"not_after"`
	Names       []string  `json:"names"` // what it can sign for: domains and ranges of addresses
}

// localRoot returns the root of the local CA of the configured data directory, and its file.
func (c *cli) localRoot() (*x509.Certificate, string, error) {
	path, err := c.configPath()
	if err != nil {
		return nil, "", err
	}
	where, err := config.Locate(path, processEnv())
	if err != nil {
		return nil, "", err
	}
	root, file, err := cert.ReadLocalCA(where.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("there is no local CA at %s yet: `edge run` makes it when a host has the issuer local", file)
	case errors.Is(err, fs.ErrPermission):
		return nil, "", fmt.Errorf("%s is not for this user to read: use sudo", file)
	default:
		return root, file, err
	}
}

func (c *cli) showTrust() error {
	root, file, err := c.localRoot()
	if err != nil {
		return err
	}
	ca := localCA{File: file, Fingerprint: fmt.Sprintf("%x", sha256.Sum256(root.Raw)), NotAfter: root.NotAfter.UTC(), Names: root.PermittedDNSDomains}
	for _, network := range root.PermittedIPRanges {
		ca.Names = append(ca.Names, network.String())
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
	_, err = fmt.Fprintln(c.out, "\n`edge trust --install` has this machine trust it; other machines need the file.")
	return err
}

// changeTrust changes the browsers' stores first, which need no sudo, and then the machine's.
func (c *cli) changeTrust(browsers func(*x509.Certificate) string, machine func(*x509.Certificate, ...truststore.Option) error, now string) error {
	root, file, err := c.localRoot()
	if err != nil {
		return err
	}
	t := new(table)
	if runtime.GOOS == "linux" { // elsewhere browsers use the machine's
		t.row(plain("Chrome, Firefox"), plain("%s", browsers(root)))
	}
	err = machine(root, truststore.WithPrefix("edge"))
	if err == nil {
		t.row(plain("this machine"), plain("%s", now))
	} else {
		t.row(plain("this machine"), cell{"not done", red})
	}
	t.print(c.out)
	if err != nil {
		return fmt.Errorf("this machine's trust store: %w; run this with sudo, or on Debian copy %s to /usr/local/share/ca-certificates and run update-ca-certificates", err, file)
	}
	_, err = fmt.Fprintln(c.out, "A browser that is running has to be started again.")
	return err
}

// trustInBrowsers adds root to the NSS stores that Chrome and Firefox use on Linux, and says how that went.
func trustInBrowsers(root *x509.Certificate) string {
	certutil, err := exec.LookPath("certutil")
	if err != nil {
		return "not done: `apt-get install libnss3-tools` (or nss-tools), then run this again"
	}
	if home, err := os.UserHomeDir(); err == nil {
		if err := makeChromeStore(certutil, filepath.Join(home, ".pki", "nssdb")); err != nil {
			return "not done: " + err.Error()
		}
	}
	if err := truststore.Install(root, truststore.WithPrefix("edge"), truststore.WithFirefox(), truststore.WithNoSystem()); err != nil {
		return "not done: " + err.Error()
	}
	return "trusted"
}

// makeChromeStore makes Chrome's store if it has none yet: Chrome makes it only when it is started for the first time.
func makeChromeStore(certutil, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	out, err := exec.Command(certutil, "-d", "sql:"+dir, "-N", "--empty-password").CombinedOutput() //nolint:gosec // the program is certutil
	if err != nil {
		return fmt.Errorf("certutil: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func distrustInBrowsers(root *x509.Certificate) string {
	if err := truststore.Uninstall(root, truststore.WithPrefix("edge"), truststore.WithFirefox(), truststore.WithNoSystem()); err != nil {
		return "not done: " + err.Error()
	}
	return "not trusted any more"
}
