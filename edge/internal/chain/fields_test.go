package chain

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

// parseFields is the other way round from fieldText.
func parseFields(text string) (fields exchange.Fields) {
	for line := range strings.SplitSeq(text, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			fields.Add(name, value)
		}
	}
	return fields
}

func TestFields(t *testing.T) {
	for _, tt := range []struct{ name, sent, stranger, trusted string }{
		{"end to end", "Accept: a|accept: b|Cookie: c", "Accept: a|accept: b|Cookie: c", "="},
		{"hop by hop", "Connection: close|Keep-Alive: 5|proxy-connection: x|TE: trailers|Upgrade: h2c|HTTP2-Settings: x|Transfer-Encoding: x|Proxy-Authorization: x|A: b", "A: b", "="},
		{"trailers are announced end to end", "Trailer: X-Sum", "Trailer: X-Sum", "="},
		{"named by Connection", "A: 1|Connection: a , X-B|x-b: 2|C: 3|CONNECTION: c", "", "="},
		{"credentials named by Connection", "Cookie: 1|Authorization: x|Connection: cookie, authorization|A: b", "A: b", "="},
		{"forwarding fields named by Connection stay", "Connection: X-Forwarded-For, x-real-ip, Host, Content-Length, X-Amzn-Trace-Id|X-Forwarded-For: 1.2.3.4|X-Real-IP: 1.2.3.4|X-Amzn-Trace-Id: Root=1|Host: h|Content-Length: 1",
			"X-Amzn-Trace-Id: Root=1|Host: h|Content-Length: 1", "X-Forwarded-For: 1.2.3.4|X-Real-IP: 1.2.3.4|X-Amzn-Trace-Id: Root=1|Host: h|Content-Length: 1"},
		{"who asked", "x-forwarded-for: 1|X-FORWARDED-ANYTHING: 2|X-Forwarded-: 3|Forwarded: 4|X-Real-Ip: 5|x-amzn-mtls-clientcert-leaf: 6|X-Forward: 7|X-Amzn-Mtlsx: 8",
			"X-Forward: 7|X-Amzn-Mtlsx: 8", "="[1:] + "x-forwarded-for: 1|X-FORWARDED-ANYTHING: 2|X-Forwarded-: 3|Forwarded: 4|X-Real-Ip: 5|x-amzn-mtls-clientcert-leaf: 6|X-Forward: 7|X-Amzn-Mtlsx: 8"},
		{"malformed names", "X_Forwarded_For: 1|a.b: 2|: 3|é: 4|a b: 5|Good-1: 6", "Good-1: 6", "="},
		{"nothing", "", "", "="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.trusted == "=" {
				tt.trusted = tt.stranger
			}
			for peer, want := range map[string]string{stranger: tt.stranger, proxy: tt.trusted} {
				got, called := "", false
				h := newHouse(t, oneHost(), func(x *exchange.Exchange) { got, called = fieldText(x.Fields), true })
				h.ask("/", from(peer), func(x *exchange.Exchange) { x.Fields = parseFields(tt.sent) })
				if got != want || !called {
					t.Errorf("from %s:\n got %s\nwant %s", peer, got, want)
				}
			}
		})
	}
}

func TestDroppedFieldsAreCounted(t *testing.T) {
	h := newHouse(t, oneHost(), ok)
	h.ask("/", exchangetest.Field("a_b", "1"), exchangetest.Field("c.d", "2"), exchangetest.Field("e", "3"))
	if got := gather(t, h.metrics)["edge_dropped_fields_total"]; got != 2 {
		t.Error(got)
	}
}

func TestConnectionThatNamesTooMuch(t *testing.T) {
	h := newHouse(t, oneHost(), ok)
	for n, want := range map[int]int{maxConnectionOptions: 200, maxConnectionOptions + 1: 400} {
		r := h.ask("/", exchangetest.Field("Connection", "close,,"+strings.Repeat("a,", n)))
		if r.Status != want {
			t.Errorf("%d options: %d", n, r.Status)
		}
	}
}

func TestClient(t *testing.T) {
	for _, tt := range []struct{ name, peer, sent, want string }{
		{"a stranger's word", stranger, "X-Forwarded-For: 1.2.3.4", stranger},
		{"nothing said", proxy, "", proxy},
		{"one hop", proxy, "X-Forwarded-For: 1.2.3.4", "1.2.3.4"},
		{"what stands before it is invention", proxy, "X-Forwarded-For: 6.6.6.6, 1.2.3.4", "1.2.3.4"},
		{"two trusted hops", proxy, "X-Forwarded-For: 6.6.6.6, 1.2.3.4,10.9.9.9", "1.2.3.4"},
		{"all trusted", proxy, "X-Forwarded-For: 10.0.0.1, 10.0.0.2", "10.0.0.1"},
		{"several lines", proxy, "X-Forwarded-For: 6.6.6.6|A: b|x-forwarded-for: 1.2.3.4|X-Forwarded-For: 10.0.0.2", "1.2.3.4"},
		{"empty elements", proxy, "X-Forwarded-For: , 1.2.3.4 ,, ", "1.2.3.4"},
		{"a port", proxy, "X-Forwarded-For: 1.2.3.4:567", "1.2.3.4"},
		{"IPv6", proxy, "X-Forwarded-For: 2001:DB8::1", "2001:db8::1"},
		{"IPv6 in brackets", proxy, "X-Forwarded-For: [2001:db8::1]", "2001:db8::1"},
		{"IPv6 with a port", proxy, "X-Forwarded-For: [2001:db8::1]:443", "2001:db8::1"},
		{"a trusted IPv6 hop", proxy, "X-Forwarded-For: 1.2.3.4, fd00::5", "1.2.3.4"},
		{"IPv4 as IPv6", proxy, "X-Forwarded-For: 1.2.3.4, ::ffff:10.0.0.9", "1.2.3.4"},
		{"a zone", "fe80::1%eth0", "", "fe80::1"},
		{"not an address", proxy, "X-Forwarded-For: 1.2.3.4, unknown", proxy},
		{"not an address behind a trusted hop", proxy, "X-Forwarded-For: 1.2.3.4, _hidden, 10.0.0.5", "10.0.0.5"},
		{"brackets of nothing", proxy, "X-Forwarded-For: []", proxy},
		{"half a bracket", proxy, "X-Forwarded-For: [", proxy},
		{"something long", proxy, "X-Forwarded-For: " + strings.Repeat("1", 5000), proxy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, oneHost(), func(x *exchange.Exchange) {
				if x.Client.String() != tt.want {
					t.Errorf("client %s, want %s", x.Client, tt.want)
				}
			})
			h.ask("/", from(tt.peer), func(x *exchange.Exchange) { x.Fields = parseFields(tt.sent) })
		})
	}
}

func FuzzClient(f *testing.F) {
	for _, seed := range []string{"1.2.3.4", "[::1]:80, 10.0.0.1", ",,", "[", "]", "[]", ":", "%", "a%b:1"} {
		f.Add(seed)
	}
	trusted := trust{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}
	peer := netip.MustParseAddr(proxy)
	f.Fuzz(func(t *testing.T, sent string) {
		client := trusted.client(peer, exchange.Fields{{Name: "X-Forwarded-For", Value: sent}})
		if !client.IsValid() || client.Zone() != "" || client.Is4In6() {
			t.Errorf("%q: client %v", sent, client)
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add("Connection: a, X-Forwarded-For|A: b|X-Forwarded-For: c|a_b: d", false)
	f.Fuzz(func(t *testing.T, sent string, trusted bool) {
		x := &exchange.Exchange{Request: exchange.Request{Fields: parseFields(sent)}}
		all, had := x.Fields, x.Fields.Has("X-Forwarded-For")
		cleanFields(x, trusted)
		for _, field := range all[len(x.Fields):] {
			if field != (exchange.Field{}) {
				t.Errorf("%v is still in memory", field)
			}
		}
		for _, field := range x.Fields {
			switch kind := kindOf(field.Name); {
			case kind == endToEnd, kind == kept, kind == forwarding && trusted:
			default:
				t.Errorf("%q went on", field.Name)
			}
		}
		if x.Fields.Has("X-Forwarded-For") != (had && trusted) {
			t.Error("X-Forwarded-For was lost or let through")
		}
	})
}
