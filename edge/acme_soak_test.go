package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/edge/internal/cert/acmetest"
)

// TestSoakCertificatesOfAMinute serves ten hosts under certificates that live for a minute, from a strict CA that rejects nonces, while
// visitors shake hands all the time, over TCP and QUIC, and the CA is away for a while now and then.
func TestSoakCertificatesOfAMinute(t *testing.T) {
	if os.Getenv("EDGE_SOAK") == "" {
		t.Skip("SKIPPED: a soak: set EDGE_SOAK=1")
	}
	const rounds = 5
	ca := acmetest.Start(t, acmetest.Options{Strict: true, RejectNonces: 20, Validity: time.Minute})
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("h%d.test", i))
	}
	s := serveACME(t, ca, acmeHead, answering(names...))
	for _, name := range names {
		s.log.wait(t, 1, issued, "host="+name)
	}
	var shaken, failed atomic.Int64
	done := make(chan struct{})
	var visitors sync.WaitGroup
	for i := range 4 {
		visitors.Go(func() {
			for n := i; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				shaken.Add(1)
				if _, err := s.leaf(names[n%len(names)]); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	for round := range rounds {
		ca.Down()
		time.AfterFunc(10*time.Second, func() { ca.Up(t) })
		for _, name := range names {
			s.log.waitFor(t, 2*time.Minute, round+2, issued, "host="+name)
		}
	}
	close(done)
	visitors.Wait()
	orders := make([]int, 0, len(names))
	for _, name := range names {
		orders = append(orders, ca.OrdersTaken(name))
	}
	t.Logf("%d handshakes, %d failed; orders a host: %v", shaken.Load(), failed.Load(), orders)
	if most := slices.Max(orders); most > 6*(rounds+2) { // this CA's windows are as long as its certificates' lives
		t.Errorf("%d orders in the time of %d certificates", most, rounds+1)
	}
}
