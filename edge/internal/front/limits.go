package front

import (
	"time"

	"golang.org/x/sys/unix"
)

// Limits bounds what a visitor may cost. A zero value takes the default.
//
// The sizes are ALB's quotas ("HTTP headers": request line 16K, single header 16K, whole header 64K;
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html).
type Limits struct {
	RequestLine int // bytes of an h1 request line, 16 KiB. Longer: 414
	Field       int // bytes of one header or trailer line, 16 KiB. Longer: 431
	Head        int // bytes of a whole head, 64 KiB; of all trailers together too. Longer: 431
	Fields      int // header lines of a request, 100. More: 431

	// Open ones, of all listeners. Default: half of RLIMIT_NOFILE less 32, since a forwarded request takes two.
	// One client address, of IPv6 its /64, may have a quarter of them unless it is this host's own: what a load balancer
	// in front brings counts for visitors only if it tells their addresses (PROXY protocol).
	Connections int
	Streams     int // of one h2 connection at a time, 128 (as ALB)

	Handshake time.Duration // for the TLS handshake, 10 s
	ReadHead  time.Duration // from a request's first byte (on a new connection from its start) to the end of its head, 15 s
	KeepAlive time.Duration // between two requests, 75 s
	Idle      time.Duration // how long a body, an answer or an upgraded connection may be silent, 60 s. A handler may say otherwise (SetIdle)

	// Bodies and answers have no total time. Instead, MinBytes must move in every Window of waiting for the visitor:
	// 4.8 KB in 20 s, 240 bytes a second (what Kestrel asks for), which a modem manages and a slow attack does not.
	Window   time.Duration
	MinBytes int
}

func (l Limits) withDefaults() Limits {
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&l.RequestLine, 16<<10)
	or(&l.Field, 16<<10)
	or(&l.Head, 64<<10)
	or(&l.Fields, 100)
	or(&l.Connections, connectionsByFiles())
	or(&l.Streams, 128)
	or(&l.MinBytes, 4800)
	orTime(&l.Handshake, 10*time.Second)
	orTime(&l.ReadHead, 15*time.Second)
	orTime(&l.KeepAlive, 75*time.Second)
	orTime(&l.Idle, 60*time.Second)
	orTime(&l.Window, 20*time.Second)
	return l
}

// connectionsByFiles leaves half of the file descriptors to connections to targets, files and the rest of the program.
func connectionsByFiles() int {
	const least, most = 64, 1 << 20
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return least
	}
	return int(min(max(r.Cur/2, least+32)-32, most))
}

// A client may have the clientPart-th part of all connections, or leastPerClient where that would be too few for
// a browser.
const (
	clientPart     = 4
	leastPerClient = 16
)

func (l Limits) perClient() int { return max(l.Connections/clientPart, leastPerClient) }

// tick is how often the guard looks: once a second, or four times in the shortest limit.
func (l Limits) tick() time.Duration {
	shortest := min(l.Handshake, l.ReadHead, l.KeepAlive, l.Idle, l.Window, 4*time.Second)
	return max(shortest/4, 5*time.Millisecond)
}
