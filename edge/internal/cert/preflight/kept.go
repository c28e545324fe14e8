package preflight

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/edge/internal/cert/budget"
)

// asked says what the configuration asks for.
func (in *inspection) asked(s *subject) Finding {
	f := Finding{Host: s.name, Check: "configuration", Result: OK}
	switch {
	case !s.known:
		f.Result, f.Seen = Fail, "the configuration has no such host or alias"
		f.Do = "add it under hosts, or to a host's aliases: edge asks for no other certificates"
	case s.host.TLS.Off:
		f.Result, f.Seen, f.Do = Warn, "the host has tls: off: it has no certificate", "remove tls: off to have one"
	case s.host.TLS.Cert != "":
		f.Seen = "from " + s.host.TLS.Cert
	default:
		var parts []string
		for _, a := range s.issuers {
			text := a.issuer.String()
			if ways := in.Config.ChallengesOf(a.issuer, s.name); len(ways) > 0 {
				text += " by " + strings.Join(ways, " or ")
			}
			parts = append(parts, text)
		}
		f.Seen = "from " + strings.Join(parts, ", else ")
	}
	return f
}

// certificate looks for one that there is already.
func (in *inspection) certificate(s *subject) Finding {
	f := Finding{Check: "certificate"}
	leaf, trouble := in.longest(s)
	switch {
	case leaf == nil && trouble != nil:
		f.Result, f.Seen, f.Do = Warn, trouble.Error(), "look with the user that edge runs as; `edge certs` says what it made of the file"
		if s.host.TLS.Cert != "" {
			f.Result, f.Do = Fail, "give a PEM file of a certificate for the name"
		}
	case leaf == nil:
		f.Result, f.Seen, f.Do = Warn, "none is kept", "start edge; then `edge certs` says what the CA answered"
	default:
		in.age(&f, s, leaf)
	}
	return f
}

// longest returns the certificate of a name that lasts longest, nil if there is none; the error is what is wrong with others.
func (in *inspection) longest(s *subject) (leaf *x509.Certificate, trouble error) {
	files := []string{s.host.TLS.Cert}
	if s.host.TLS.Cert == "" {
		files = in.keptFiles(s.name)
	}
	for _, file := range files {
		c, err := readLeaf(file)
		if err == nil && s.name != "*" {
			if err = c.VerifyHostname(strings.Replace(s.name, "*.", "any.", 1)); err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
		}
		switch {
		case err != nil:
			trouble = err
		case leaf == nil || c.NotAfter.After(leaf.NotAfter):
			leaf = c
		}
	}
	return leaf, trouble
}

// due is when a certificate is renewed, unless its CA wants that earlier or later: a third of its life before its end.
func due(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// consequence says what a failure does to a name that has a good certificate: nothing until its renewal. It is "" without one.
func (in *inspection) consequence(leaf *x509.Certificate) string {
	now := in.now()
	if leaf == nil || now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return ""
	}
	renewal := "the renewal due on " + onDay(due(leaf))
	if !now.Before(due(leaf)) {
		renewal = "the renewal, which is due"
	}
	return fmt.Sprintf(" (fails %s; the certificate lasts until %s)", renewal, onDay(leaf.NotAfter))
}

func onDay(t time.Time) string { return t.UTC().Format(time.DateTime + " UTC") }

// age judges how long a certificate is still good.
func (in *inspection) age(f *Finding, s *subject, leaf *x509.Certificate) {
	f.Result, f.Seen = OK, fmt.Sprintf("one by %s ends on %s", printable(leaf.Issuer.CommonName), onDay(leaf.NotAfter))
	switch {
	case !in.now().Before(leaf.NotAfter):
		f.Result, f.Do = Warn, "start edge; then `edge certs` says why it was not renewed"
		if s.host.TLS.Cert != "" {
			f.Result, f.Do = Fail, "renew the file"
		}
	case in.now().After(due(leaf)):
		f.Result, f.Do = Warn, "look at `edge certs`: it should have been renewed by now"
		if s.host.TLS.Cert != "" {
			f.Do = "renew the file"
		}
	}
}

// keptFiles returns the certificates of a name that are kept, whoever issued them.
func (in *inspection) keptFiles(name string) []string {
	safe := certmagic.StorageKeys.Safe(name)
	root := filepath.Join(in.Config.DataDir, "certificates", "certificates")
	issuers, _ := os.ReadDir(root) // without any there is no certificate
	var files []string
	for _, issuer := range issuers {
		file := filepath.Join(root, issuer.Name(), safe, safe+".crt")
		if _, err := os.Stat(file); err == nil || !os.IsNotExist(err) {
			files = append(files, file)
		}
	}
	return files
}

// maxFile is far more than a certificate with its chain has.
const maxFile = 1 << 20

// readFile reads a small regular file: a pipe could block for ever.
func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no PEM file", file)
	}
	return os.ReadFile(file)
}

func readLeaf(file string) (*x509.Certificate, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return leaf, nil
}

// budgets finds orders that would overdraw what the CAs allow.
func (in *inspection) budgets(s *subject) []Finding {
	if in.Budget == nil {
		return nil
	}
	leaf, _ := in.longest(s)
	kind := budget.First
	if len(in.keptFiles(s.name)) > 0 {
		kind = budget.Renewal
	}
	var findings []Finding
	for _, a := range s.issuers {
		if !a.acme() {
			continue
		}
		f := Finding{Check: "budget", Result: OK, Seen: a.issuer.String() + " allows an order now"}
		err := in.Budget.Check(budget.Issuer{Name: a.issuer.String(), Directory: a.issuer.DirectoryURL()}, s.name, kind)
		switch spent, isSpent := errors.AsType[*budget.Spent](err); {
		case isSpent && leaf != nil && spent.Until.Before(due(leaf)):
			f.Result, f.Seen = Warn, fmt.Sprintf("%v; the renewal is due after that, on %s", err, onDay(due(leaf)))
			f.Do = "mend what made earlier orders fail before then"
		case isSpent:
			f.Result, f.Seen = Fail, err.Error()
			f.Do = "mend what made earlier orders fail, and wait: edge asks by itself then"
		case err != nil:
			f.Result, f.Seen, f.Do = Unknown, err.Error(), "look with the user that edge runs as"
		}
		findings = append(findings, f)
	}
	return findings
}
