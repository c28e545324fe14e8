package main

import (
	"net/netip"
	"net/url"
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
the certificate, why each earlier rule did not match, the rule with its place in the
file, the action and the limits in force. It asks no server.`,
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
	explained.Certificate = certificateOf(cfg, explained.Host)
	if c.json {
		return c.printJSON(explained)
	}
	_, err = explained.WriteTo(c.out)
	return err
}

// certificateOf says where a host's certificate comes from: its file, or its issuers. A host with tls: off has none.
func certificateOf(cfg *config.Config, name string) string {
	host, known := cfg.Hosts[name]
	switch {
	case !known || host.TLS.Off:
		return ""
	case host.TLS.Cert != "":
		return host.TLS.Cert
	}
	var issuers []string
	for _, i := range cfg.IssuersOf(host) {
		issuers = append(issuers, i.String())
	}
	return "issued by " + strings.Join(issuers, ", else ")
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
