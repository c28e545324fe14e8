package preflight

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"github.com/onehost/edge/edge/internal/cert/route53"
)

// A world is what an inspection looks at from outside of the configuration.
type world struct {
	resolvers  []string      // HOST:PORT of the system's
	metadata   string        // base URL of EC2's instance metadata
	httpPort   string        // where a CA knocks for http-01 (RFC 8555, section 8.3)
	httpsPort  string        // and for tls-alpn-01 (RFC 8737, section 3)
	patience   time.Duration // with one connection
	interfaces func() ([]netip.Addr, error)
	aws        func(context.Context) error // why there are no AWS credentials
	now        func() time.Time
	ntp        func() (synchronised bool, err error)
	room       func(dir string) (bytes, inodes uint64, err error)
}

func thisWorld() world {
	return world{
		resolvers: systemResolvers("/etc/resolv.conf"),
		metadata:  "http://169.254.169.254",
		httpPort:  "80", httpsPort: "443",
		patience:   4 * time.Second,
		interfaces: interfaceAddresses,
		aws:        awsCredentials,
		now:        time.Now,
		ntp:        kernelSynchronised,
		room:       room,
	}
}

// awsCredentials finds out, as an order by dns-01 would, whether there are any.
func awsCredentials(ctx context.Context) error {
	solver, err := route53.NewSolver(ctx, route53.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return solver.Ready(ctx)
}

// maxResolvers is how many servers the C library asks (resolv.conf(5), MAXNS).
const maxResolvers = 3

func systemResolvers(file string) []string {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return []string{"127.0.0.1:53", "[::1]:53"} // resolv.conf(5): the default is the local machine
	}
	var servers []string
	for _, server := range conf.Servers[:min(len(conf.Servers), maxResolvers)] {
		servers = append(servers, net.JoinHostPort(server, conf.Port))
	}
	return servers
}

func interfaceAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			addresses = append(addresses, prefix.Addr().Unmap())
		}
	}
	return addresses, nil
}
