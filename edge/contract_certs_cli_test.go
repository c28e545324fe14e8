package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/cert/acmetest"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"golang.org/x/sys/unix"
)

// TestCertificatesAreReadableAtAnyWidth has what CAs say stand below the table, which fits a narrow terminal.
func TestCertificatesAreReadableAtAnyWidth(t *testing.T) {
	now := time.Now()
	long := "letsencrypt: " + strings.Repeat("; no valid A records found for it", 20)
	all := []cert.Status{
		{Host: "app.example.com", Issuer: "E5", Source: "letsencrypt", NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour), NextRenewal: now.Add(60 * 24 * time.Hour)},
		{Host: "failing.example.com", Issuer: "E5", Source: "letsencrypt", NotBefore: now.Add(-80 * 24 * time.Hour), NotAfter: now.Add(10 * 24 * time.Hour), NextRenewal: now.Add(time.Hour), NextTry: now.Add(time.Hour + time.Second), Error: long},
		{Host: "file.example.com", Issuer: "Our CA", Source: "/etc/edge/own.crt", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(-time.Minute)},
		{Host: "never.example.com", Source: "letsencrypt", NextTry: now.Add(5*time.Minute + time.Second), Error: "letsencrypt: rejected"},
		{Host: "new.example.com", Source: "letsencrypt"},
	}
	var out bytes.Buffer
	certsTable(all).print(&out)
	table := out.String()
	for line := range strings.Lines(table) {
		if len([]rune(line)) > 80+1 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
	for _, want := range []string{
		`app.example.com +E5 +\d{4}-\d\d-\d\d \(89d\) +\d{4}-\d\d-\d\d +letsencrypt`,
		`failing.example.com +E5 +\S+ \(9d\) +retry in 60m +letsencrypt`,
		`file.example.com +Our CA +\S+ \(over\) +by its owner +/etc/edge/own.crt`,
		`never.example.com +no certificate +retry in 5m +letsencrypt`,
		`new.example.com +none yet +under way +letsencrypt`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(table) {
			t.Errorf("no line %s in\n%s", want, table)
		}
	}
	out.Reset()
	c := &cli{out: &out}
	if err := c.printErrors(all); err != nil || out.String() != "\nfailing.example.com: "+long+"\nnever.example.com: letsencrypt: rejected\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if c.printErrors(all[:1]); out.Len() > 0 {
		t.Errorf("without an error: %q", out.String())
	}
}

// TestCommandsAboutTheFirstOrder asks while it is under way, when it is done, and for more.
func TestCommandsAboutTheFirstOrder(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true})
	held, goOn := make(chan struct{}, 1), make(chan struct{})
	ca.OnRequest(func(r acmetest.Request) acmetest.Action {
		if r.Kind != acmetest.KindFinalize {
			return nil
		}
		select {
		case held <- struct{}{}:
		default:
		}
		return acmetest.Hold(goOn)
	})
	certFile, keyFile := pemFiles(t, t.TempDir(), "own", "own.test")
	s := serveACME(t, ca, acmeHead, answering("a.test")+"  own.test: {tls: {cert: CERT, key: KEY}, default: {respond: {body: x}}}\n", "CERT", certFile, "KEY", keyFile)
	edge := func(want int, args ...string) string {
		t.Helper()
		status, out, errOut := command(t, append(args, "--admin", s.server.admin.Addr().String())...)
		if status != want || status != exitDone && errOut == "" { // progress goes there, too
			t.Errorf("edge %s: %d\n%s%s", strings.Join(args, " "), status, out, errOut)
		}
		return out + errOut
	}
	select {
	case <-held:
	case <-time.After(20 * time.Second):
		t.Fatal("the order never got so far")
	}
	if out := edge(exitDone, "certs"); !regexp.MustCompile(`(?m)^a.test +none yet +under way +https://`).MatchString(out) {
		t.Error(out)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(edge(exitDone, "certs", "--json")), &all); err != nil || len(all) != 2 || all[0]["issuer"] != "" || all[0]["red"] != false || all[0]["error"] != nil {
		t.Error(err, all)
	}
	if out := edge(exitDone, "status"); strings.Contains(out, "attention") {
		t.Errorf("a first order is nothing to attend to:\n%s", out)
	}
	if metrics := s.scrape(t); strings.Contains(metrics, `edge_cert_not_after_seconds{host="a.test"}`) {
		t.Error("a certificate that is not there has an end")
	}
	close(goOn)
	s.log.wait(t, 1, issued, "host=a.test")
	var after []cert.Status
	if err := json.Unmarshal([]byte(edge(exitDone, "certs", "--json")), &after); err != nil || after[0].Source != ca.Directory || after[0].Issuer == "" || after[0].Serial == "" ||
		after[0].NextRenewal.Before(after[0].NotBefore) || after[0].NextRenewal.After(after[0].NotAfter) {
		t.Error(err, after)
	}

	if out := edge(exitDone, "certs", "renew", "a.test"); !strings.HasPrefix(out, "a.test has a new certificate\n") {
		t.Error(out)
	}
	if n := ca.Orders("a.test"); n != 2 {
		t.Errorf("%d orders", n)
	}
	if out := edge(exitFailed, "certs", "renew", "invented.test"); !strings.Contains(out, "invented.test") {
		t.Error(out)
	}
	if out := edge(exitFailed, "certs", "renew", "own.test"); !strings.Contains(out, "own.test") {
		t.Error(out)
	}
	edge(exitUsage, "certs", "renew")
	ca.FailNext(10, acmetest.KindNewOrder, acmetest.Problem(403, "rejectedIdentifier", "the policy says no", 0))
	if out := edge(exitFailed, "certs", "renew", "a.test"); !strings.Contains(out, "the policy says no") {
		t.Error(out)
	}
	if out := edge(exitDone, "certs"); !regexp.MustCompile(`(?m)^a.test: .*the policy says no`).MatchString(out) {
		t.Error(out)
	}
	if _, err := s.leaf("a.test"); err != nil {
		t.Error("what was served is served no more:", err)
	}
}

// TestMetricsOfCertificates holds their names, Prometheus's rules for these, and that labels are names of the configuration.
func TestMetricsOfCertificates(t *testing.T) {
	certFile, keyFile := pemFiles(t, t.TempDir(), "own", "own.localhost")
	s := serve(t, "hosts:\n  localhost: {aliases: [www.localhost], default: {respond: {body: x}}}\n  own.localhost: {tls: {cert: CERT, key: KEY}, default: {respond: {body: x}}}\n  plain.localhost: {tls: off, default: {respond: {body: x}}}\n", "CERT", certFile, "KEY", keyFile)
	s.handshake("invented.localhost")
	fetch(t, s.client("h3"), "GET", "https://localhost/", "")
	text := s.scrape(t)
	names := map[string][]string{}
	for _, sample := range regexp.MustCompile(`(?m)^edge_cert_(\w+)\{host="([^"]*)"\} (\S+)$`).FindAllStringSubmatch(text, -1) {
		names[sample[1]] = append(names[sample[1]], sample[2])
	}
	renewed, all := []string{"localhost", "www.localhost"}, []string{"localhost", "own.localhost", "www.localhost"}
	for name, want := range map[string][]string{"not_after_seconds": all, "next_renewal_seconds": renewed, "failing": all} {
		if got := names[name]; !slices.Equal(got, want) {
			t.Errorf("edge_cert_%s of %q, want %q", name, got, want)
		}
	}
	var ends float64
	for _, st := range s.Certificates() {
		if st.Host == "localhost" {
			ends = float64(st.NotAfter.Unix())
		}
	}
	if !strings.Contains(text, fmt.Sprintf("edge_cert_not_after_seconds{host=\"localhost\"} %g\n", ends)) || !strings.Contains(text, "edge_cert_failing{host=\"localhost\"} 0\n") {
		t.Errorf("localhost ends at %g:\n%s", ends, text)
	}
	os.WriteFile(keyFile, []byte("broken"), 0o600)
	await(t, "the failure", func() bool { return strings.Contains(s.scrape(t), "edge_cert_failing{host=\"own.localhost\"} 1\n") })
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "edge_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if err != nil || strings.Contains(text, "invented") {
		t.Error("a visitor made up a label", err)
	}
}

func TestExplainSaysWhereCertificatesComeFrom(t *testing.T) {
	authority := newClientAuthority(t, "clients")
	file := configure(t, `data_dir: ./data
listen: {http: 127.0.0.1:0, https: 127.0.0.1:0, H3}
tls: {email: ops@mail.example.com, dns: {route53: {}}}
hosts:
  example.com: {aliases: [www.example.com], default: {respond: {body: x}}}
  "*.example.com": {tls: {issuers: [letsencrypt, zerossl, local]}, default: {respond: {body: x}}}
  example.org: {tls: {issuers: [{directory: "https://ca.example.org/dir", challenges: http-01}, local], client_ca: CLIENTS}, default: {respond: {body: x}}}
  plain.example.org: {tls: off, default: {respond: {body: x}}}
`)
	text, _ := os.ReadFile(file)
	for _, h3 := range []string{"h3: on", "h3: off"} {
		os.WriteFile(file, []byte(strings.NewReplacer("H3", h3, "CLIENTS", authority.file).Replace(string(text))), 0o644)
		protocols := map[string]string{"h3: on": "h1, h2, h3", "h3: off": "h1, h2"}[h3]
		for url, want := range map[string]string{
			"https://example.com/":       "certificate issued by letsencrypt (http-01, tls-alpn-01, dns-01) protocols " + protocols + " rule",
			"https://www.example.com/":   "certificate issued by letsencrypt (http-01, tls-alpn-01, dns-01) protocols " + protocols + " rule",
			"https://any.example.com/":   "certificate issued by letsencrypt (dns-01), else zerossl (dns-01), else local protocols " + protocols + " rule",
			"https://example.org/":       "certificate issued by https://ca.example.org/dir (http-01), else local client_ca visitors show a certificate that " + authority.file + " vouches for protocols " + protocols + " rule",
			"http://plain.example.org/":  "(" + file + ":8) rule",
			"https://none.example.edu/x": "note no host",
		} {
			status, out, errOut := command(t, "explain", "-c", file, url)
			if flat := strings.Join(strings.Fields(out), " "); status != exitDone || !strings.Contains(flat, want) {
				t.Errorf("%s: %d, no %q in\n%s%s", url, status, want, out, errOut)
			}
		}
	}
	os.WriteFile(file, []byte(strings.NewReplacer("H3", "h3: on", "CLIENTS", authority.file).Replace(string(text))), 0o644)
	_, out, _ := command(t, "explain", "-c", file, "--json", "https://example.org/")
	var got struct {
		Issuers []struct {
			Name       string
			Challenges []string
		}
		ClientCA  string `json:"client_ca"`
		Protocols []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || fmt.Sprint(got.Issuers) != "[{https://ca.example.org/dir [http-01]} {local []}]" || got.ClientCA != authority.file || len(got.Protocols) != 3 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(file), "data")); err == nil {
		t.Error("edge explain made the data folder")
	}
}

// TestTLSSettingsAreChecked holds what tls and hosts.NAME.tls take, and where it is said what they don't.
func TestTLSSettingsAreChecked(t *testing.T) {
	authority := newClientAuthority(t, "clients")
	certFile, keyFile := pemFiles(t, t.TempDir(), "own", "example.com")
	const key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0" // of an EAB
	t.Setenv("EAB_HMAC", key)
	const host = "hosts: {example.com: {default: {respond: {body: x}}}}\n"
	of := func(tls string) string {
		return "hosts:\n  example.com:\n    tls: " + tls + "\n    default: {respond: {body: x}}\n"
	}
	for _, test := range []struct {
		name, yaml string
		want       string // FILE:WANT; "" passes without a word
	}{
		{"only hosts and an e-mail", "tls: {email: ops@some-company.com}\n" + host, ""},
		{"every issuer", "tls:\n  email: ops@some-company.com\n  issuers: [letsencrypt, letsencrypt-staging, zerossl, local]\n" + host, ""},
		{"an issuer with everything", "tls:\n  issuers: [{directory: \"https://ca.internal/dir\", ca: CA, eab: {kid: k, hmac: \"${EAB_HMAC}\"}, challenges: [http-01, tls-alpn-01, dns-01]}]\n  check_interval: 10m\n  dns: {route53: {}}\n" + host, ""},
		{"a wildcard by DNS", "tls: {email: ops@some-company.com, dns: {route53: {}}}\nhosts: {\"*.example.com\": {default: {respond: {body: x}}}}\n", ""},
		{"off", of("off"), ""},
		{"issuers of its own", of("{issuers: [local]}"), ""},
		{"files", of("{cert: CERT, key: KEY}"), ""},
		{"files and client_ca", of("{cert: CERT, key: KEY, client_ca: CA}"), ""},

		{"a directory that is not https", "tls:\n  issuers:\n    - {directory: \"http://ca.internal/dir\"}\n" + host, "3:19: "},
		{"a ca that is not there", "tls:\n  issuers:\n    - {directory: \"https://ca.internal/dir\", ca: ./none.pem}\n" + host, "3:50: "},
		{"a ca that is no certificate", "tls:\n  issuers:\n    - {directory: \"https://ca.internal/dir\", ca: KEY}\n" + host, "3:50: "},
		{"an issuer that nobody knows", "tls:\n  issuers: [letsencrpt]\n" + host, `2:13: `},
		{"the same, and what was meant", "tls:\n  issuers: [letsencrpt]\n" + host, "did you mean letsencrypt?"},
		{"a challenge that nobody knows", "tls:\n  email: ops@some-company.com\n  issuers: [{name: letsencrypt, challenges: [http-1]}]\n" + host, "3:46: "},
		{"an eab without hmac", "tls:\n  issuers: [{directory: \"https://ca.internal/dir\", eab: {kid: k}}]\n" + host, "2:52: "},
		{"an hmac that is none", "tls:\n  issuers: [{directory: \"https://ca.internal/dir\", eab: {kid: k, hmac: \"${EAB_HMAC}!\"}}]\n" + host, "2:72: "},
		{"a wildcard without DNS", "tls: {email: ops@some-company.com}\nhosts:\n  \"*.example.com\": {default: {respond: {body: x}}}\n", "3:3: "},
		{"no e-mail address", "tls:\n  email: ops.example.com\n" + host, "2:10: "},
		{"an interval that is too short", "tls:\n  email: ops@some-company.com\n  check_interval: 1ms\n" + host, "3:19: "},
		{"nothing at all", host, "1:9: "},
		{"a cert without key", of("{cert: CERT}"), "3:17: "},
		{"a key without cert", of("{key: KEY}"), "3:16: "},
		{"a cert that is not there", of("{cert: ./none.crt, key: KEY}"), "3:17: "},
		{"client_ca that is not there", of("{issuers: [local], client_ca: ./none.pem}"), "3:40: "},
		{"client_ca that is no CA", of("{issuers: [local], client_ca: CERT}"), "3:40: "},
		{"client_ca without TLS", "hosts:\n  \"*\":\n    tls: {client_ca: CA}\n    default: {respond: {body: x}}\n", "2:3: "},
		{"a key that is mistyped", of("{isuers: [local]}"), `3:11: unknown key "isuers"`},
		{"another word than off", of("\"on\""), "3:10: "},
	} {
		file := configure(t, strings.NewReplacer("CA", authority.file, "CERT", certFile, "KEY", keyFile).Replace(test.yaml))
		status, out, errOut := command(t, "check", "-c", file)
		switch {
		case test.want == "" && (status != exitDone || errOut != ""):
			t.Errorf("%s: %d %s", test.name, status, errOut)
		case test.want != "" && (status != exitUsage || !strings.Contains(errOut, test.want) || !strings.HasPrefix(errOut, file+":")):
			t.Errorf("%s: %d, want %s in\n%s", test.name, status, test.want, errOut)
		}
		if strings.Contains(out+errOut, key) {
			t.Errorf("%s: the key is shown:\n%s", test.name, errOut)
		}
	}
}

// TestTheKeyOfAnAccountIsNotShown has a CA that knows nothing of an EAB, and looks for its key wherever edge speaks.
func TestTheKeyOfAnAccountIsNotShown(t *testing.T) {
	t.Parallel()
	ca := acmetest.Start(t, acmetest.Options{Strict: true, EAB: map[string][]byte{"kid-1": []byte("a key of thirty-two bytes or more")}})
	secret := base64.RawURLEncoding.EncodeToString([]byte("another key of thirty-two bytes or so"))
	head := strings.Replace(acmeHead, `"ROOT"}`, `"ROOT", eab: {kid: kid-1, hmac: `+secret+`}}`, 1)
	s := serveACME(t, ca, head, answering("a.test")+"log: {level: debug}\n")
	s.log.wait(t, 1, "no certificate", "host=a.test")
	said := fmt.Sprint(s.Status(), s.Certificates()) + s.scrape(t)
	for _, line := range []string{"certs", "certs --json", "status", "status --json", "explain https://a.test/", "explain --json https://a.test/", "check", "check --json", "certs renew a.test"} {
		_, out, errOut := command(t, append(strings.Fields(line), "-c", s.file)...)
		said += out + errOut
	}
	s.log.mu.Lock()
	said += strings.Join(s.log.lines, "\n")
	s.log.mu.Unlock()
	if strings.Contains(said, secret) || strings.Contains(said, "another key") {
		t.Error("the key is shown:\n" + said)
	}
}

// TestColourIsForTerminals runs edge certs with its output on a terminal, with and without NO_COLOR (no-color.org), and into a pipe.
func TestColourIsForTerminals(t *testing.T) {
	s := serve(t, "hosts: {localhost: {default: {respond: {body: x}}}}\n")
	terminal, shown := openTerminal(t)
	t.Setenv("TERM", "xterm")
	for noColor, colour := range map[string]bool{"": true, "1": false} {
		t.Setenv("NO_COLOR", noColor)
		if status := execute(t.Context(), []string{"certs", "-c", s.file}, terminal, io.Discard); status != exitDone {
			t.Fatal(status)
		}
		said := ""
		for range 2 { // lines
			line, err := shown.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			said += line
		}
		if strings.Contains(said, "\x1b[") != colour || !strings.Contains(said, "localhost") {
			t.Errorf("NO_COLOR=%s: %q", noColor, said)
		}
	}
	t.Setenv("NO_COLOR", "")
	if _, out, _ := command(t, "certs", "-c", s.file); strings.Contains(out, "\x1b") {
		t.Errorf("into a pipe: %q", out)
	}
}

// openTerminal returns a pseudo terminal (pty(7)), and what is shown on it.
func openTerminal(t *testing.T) (terminal *os.File, shown *bufio.Reader) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("SKIPPED: no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { screen.Close() })
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, bufio.NewReader(screen)
}
