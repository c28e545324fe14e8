package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/rules"
	"github.com/spf13/cobra"
)

func (c *cli) explainCommand() *cobra.Command {
	var ask question
	command := &cobra.Command{
		Use:   "explain URL",
		Short: "say which host, certificate, rule, action and limits a request gets",
		Long: `explain says what would happen to a request, by the same table that serves: the host,
who issues its certificate and how the name is proved, why each earlier rule did not
match, the rule with its place in the file, the action and the limits in force. It asks
no server.`,
		Example: "  edge explain https://example.com/old/page\n  edge explain -X POST -H 'X-Beta: 1' https://api.example.com/v1/goals",
		Args:    exactly("a URL, such as https://example.com/path"),
		RunE: func(_ *cobra.Command, args []string) error {
			ask.url = args[0]
			return c.explain(ask)
		},
	}
	command.Flags().StringVarP(&ask.method, "request", "X", "GET", "`METHOD` of the request")
	command.Flags().StringArrayVarP(&ask.fields, "header", "H", nil, "a header `FIELD`, as 'Name: value'; may be repeated")
	command.Flags().StringVar(&ask.client, "from", "127.0.0.1", "the client's `ADDRESS`")
	return c.jsonFlag(command)
}

// question is a request to explain.
type question struct {
	method, url, client string
	fields              []string
}

func (c *cli) explain(ask question) error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	request, err := ask.request()
	if err != nil {
		return err
	}
	cfg, _, err := load(path)
	if err != nil {
		return err
	}
	table, err := rules.Build(cfg, rules.Offline{})
	if err != nil {
		return err
	}
	explained := table.Explain(request)
	describeTLS(&explained, cfg, request.Hostname)
	if c.json {
		return c.printJSON(explained)
	}
	_, err = explained.WriteTo(c.out)
	return err
}

// describeTLS says what the table does not know: where the certificate of a name comes from, what its visitors have to show, and
// which protocols lead there. A host with tls: off has none of it.
func describeTLS(e *rules.Explanation, cfg *config.Config, hostname string) {
	host, known := cfg.Hosts[e.Host]
	if !known || host.TLS.Off {
		return
	}
	if host.TLS.Cert != "" {
		e.Certificate = host.TLS.Cert
	} else {
		e.Issuers = issuersOf(cfg, host, nameOfCertificate(e.Host, host, hostname))
		said := make([]string, len(e.Issuers))
		for i, issuer := range e.Issuers {
			said[i] = issuer.String()
		}
		e.Certificate = "issued by " + strings.Join(said, ", else ")
	}
	e.ClientCA = host.TLS.ClientCA
	if len(cfg.Listen.HTTPS) > 0 {
		e.Protocols = []string{"h1", "h2"}
		if cfg.Listen.H3 {
			e.Protocols = append(e.Protocols, "h3")
		}
	}
}

// nameOfCertificate is the name that a visitor's certificate is for: an alias has one of its own.
func nameOfCertificate(name string, host config.Host, asked string) string {
	if slices.Contains(host.Aliases, asked) {
		return asked
	}
	return name
}

// issuersOf returns those that can issue a certificate for a name, in order of preference.
func issuersOf(cfg *config.Config, host config.Host, name string) []rules.Issuer {
	var issuers []rules.Issuer
	for _, i := range cfg.IssuersOf(host) {
		if cfg.Refusal(i, name) == "" {
			issuers = append(issuers, rules.Issuer{Name: i.String(), Challenges: cfg.ChallengesOf(i, name)})
		}
	}
	return issuers
}

// request returns the request in the shape in which the chain would hand it to the rules.
func (q question) request() (*exchange.Request, error) {
	u, err := url.Parse(q.url)
	if err != nil {
		return nil, usage("%v", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, usage("%q is not a whole URL: write https://HOST/PATH", q.url)
	}
	hostname, ok := exchange.NormalHostname(u.Host)
	if !ok {
		return nil, usage("%q is no host", u.Host)
	}
	client, err := netip.ParseAddr(q.client)
	if err != nil {
		return nil, usage("--from %q is no IP address", q.client)
	}
	r := &exchange.Request{
		Protocol: exchange.HTTP11, Method: q.method, Scheme: u.Scheme, Host: u.Host, Hostname: hostname,
		RawPath: u.EscapedPath(), RawQuery: u.RawQuery, HasQuery: u.RawQuery != "" || u.ForceQuery,
		Body: exchange.NoBody, Client: client, Peer: netip.AddrPortFrom(client, 0),
	}
	if r.RawPath == "" {
		r.RawPath = "/"
	}
	for _, field := range q.fields {
		name, value, ok := strings.Cut(field, ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok || strings.TrimSpace(name) == "":
			return nil, usage("-H %q is not 'Name: value'", field)
		case exchange.EqualName(name, "Host"):
			return nil, usage("-H %q: the URL names the host", field)
		case exchange.EqualName(name, "Upgrade"):
			r.Upgrade = strings.ToLower(value)
		default:
			r.Fields.Add(name, value)
		}
	}
	return r, nil
}
