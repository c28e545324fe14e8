package acmetest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// DNS is the name server that a CA, and the edge under test, ask. pebble-challtestsrv answers, behind a front of ours that also
// knows where zones begin: clients that look for the zone of a name (RFC 8555 section 8.4 records have to go somewhere) ask for
// SOA records, which pebble-challtestsrv refuses.
//
// Until told otherwise every name has the address 127.0.0.1 and no IPv6 address.
type DNS struct {
	Addr string // host:port, UDP and TCP

	challtestsrv *process
	management   string // pebble-challtestsrv's, a base URL
	upstream     string
	client       *http.Client

	mu    sync.Mutex
	zones []string
}

// StartDNS starts a name server that ends with the test. Start does it too, unless it is given one.
func StartDNS(t testing.TB) *DNS {
	t.Helper()
	file, err := challtestsrvPath()
	if err != nil {
		t.Fatal(err)
	}
	d := &DNS{upstream: localhost(Port(t)), client: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}}
	management := localhost(Port(t))
	d.management = "http://" + management
	d.challtestsrv = start(t, nil, file, "-management", management, "-dnsserver", d.upstream, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	t.Cleanup(d.client.CloseIdleConnections)
	d.challtestsrv.until(t, func(ctx context.Context) error {
		_, err := d.forward(ctx, new(dns.Msg).SetQuestion("ready.test.", dns.TypeA))
		return err
	})
	d.challtestsrv.until(t, func(ctx context.Context) error {
		return post(ctx, d.client, d.management+"/set-default-ipv4", []byte(`{"ip":"127.0.0.1"}`))
	})
	d.serve(t)
	return d
}

// SetTXT gives a name TXT records and takes from it those it had. With no values it has none.
func (d *DNS) SetTXT(t testing.TB, name string, values ...string) {
	t.Helper()
	d.manage(t, "/clear-txt", record{Host: dns.Fqdn(name)})
	d.AddTXT(t, name, values...)
}

// AddTXT gives a name more TXT records.
func (d *DNS) AddTXT(t testing.TB, name string, values ...string) {
	t.Helper()
	for _, value := range values {
		d.manage(t, "/set-txt", record{Host: dns.Fqdn(name), Value: value})
	}
}

// SetA gives a name IPv4 addresses instead of those it had. With none it has 127.0.0.1.
func (d *DNS) SetA(t testing.TB, name string, addresses ...string) {
	t.Helper()
	d.manage(t, "/clear-a", record{Host: name})
	if len(addresses) > 0 {
		d.manage(t, "/add-a", record{Host: name, Addresses: addresses})
	}
}

// SetAAAA gives a name IPv6 addresses instead of those it had.
func (d *DNS) SetAAAA(t testing.TB, name string, addresses ...string) {
	t.Helper()
	d.manage(t, "/clear-aaaa", record{Host: name})
	if len(addresses) > 0 {
		d.manage(t, "/add-aaaa", record{Host: name, Addresses: addresses})
	}
}

// AddCAA adds a CAA record (RFC 8659), such as "issue" "ca.example". Pebble does not look at them.
func (d *DNS) AddCAA(t testing.TB, name, tag, value string) {
	t.Helper()
	d.manage(t, "/add-caa", record{Host: name, Policies: []policy{{tag, value}}})
}

// SetCNAME makes a name an alias of another.
func (d *DNS) SetCNAME(t testing.TB, name, target string) {
	t.Helper()
	d.manage(t, "/set-cname", record{Host: name, Target: target})
}

// Fail answers every question for a name with SERVFAIL, until Mend.
func (d *DNS) Fail(t testing.TB, name string) {
	t.Helper()
	d.manage(t, "/set-servfail", record{Host: name})
}

// Mend ends what Fail began.
func (d *DNS) Mend(t testing.TB, name string) {
	t.Helper()
	d.manage(t, "/clear-servfail", record{Host: name})
}

// AddZone makes a name the beginning of a zone: it has an SOA record.
func (d *DNS) AddZone(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zones = append(d.zones, dns.CanonicalName(name))
}

type record struct {
	Host      string
	Value     string   `json:",omitempty"`
	Target    string   `json:",omitempty"`
	Addresses []string `json:",omitempty"`
	Policies  []policy `json:",omitempty"`
}

type policy struct{ Tag, Value string }

func (d *DNS) manage(t testing.TB, path string, body record) {
	t.Helper()
	text, err := json.Marshal(body)
	if err == nil {
		err = post(context.WithoutCancel(t.Context()), d.client, d.management+path, text) // tests clear records in their clean-up, too
	}
	if err != nil {
		t.Errorf("the name server's records: %v", err)
	}
}

// serve answers on one port, by UDP and TCP.
func (d *DNS) serve(t testing.TB) {
	t.Helper()
	tcp, udp := listenBoth(t)
	d.Addr = tcp.Addr().String()
	for _, server := range []*dns.Server{{Listener: tcp, Handler: dns.HandlerFunc(d.answer)}, {PacketConn: udp, Handler: dns.HandlerFunc(d.answer)}} {
		ended, started := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			if err := server.ActivateAndServe(); err != nil {
				t.Errorf("the name server: %v", err)
			}
		}()
		select {
		case <-started:
		case <-ended:
			t.FailNow()
		}
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-ended
		})
	}
}

// listenBoth binds a port that is free for both TCP and UDP.
func listenBoth(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	var err error
	for range 50 {
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			break
		}
		var udp net.PacketConn
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return tcp, udp
		}
		tcp.Close()
	}
	t.Fatalf("no port that is free for TCP and UDP: %v", err)
	return nil, nil
}

func (d *DNS) answer(w dns.ResponseWriter, query *dns.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	reply := new(dns.Msg).SetReply(query)
	if len(query.Question) == 1 && query.Question[0].Qtype == dns.TypeSOA {
		reply.Answer = d.soa(query.Question[0].Name)
	} else if answered, err := d.forward(ctx, query); err != nil {
		reply.SetRcode(query, dns.RcodeServerFailure)
	} else {
		reply = answered
	}
	_ = w.WriteMsg(reply)
}

func (d *DNS) forward(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	reply, _, err := (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, query, d.upstream)
	return reply, err
}

func (d *DNS) soa(name string) []dns.RR {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.zones, dns.CanonicalName(name)) {
		return nil
	}
	return []dns.RR{&dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1},
		Ns:  "ns.acmetest.invalid.", Mbox: "hostmaster.acmetest.invalid.", Serial: 1, Refresh: 1, Retry: 1, Expire: 1, Minttl: 1,
	}}
}
