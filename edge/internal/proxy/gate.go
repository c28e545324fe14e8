package proxy

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/onehost/edge/edge/internal/exchange"
)

// Bounds of the requests that one target has at a time. A connection that has switched protocols does not count any more.
const (
	maxRequests  = 1024
	gatePatience = time.Second // for a place; then the visitor gets 503 and may come again
	// clientShare is the part of the places, 1/clientShare, that one client may have: an IPv4 address, or an IPv6 /64.
	// A few connections whose streams nobody reads would else take a target away from everybody.
	clientShare = 4
)

var (
	errTargetFull = errors.New("proxy: the target has as many requests as it may have at once")
	errClientFull = errors.New("proxy: the client has as many requests at the target as it may have at once")
)

// A gate lets so many requests at a target in, and a share of them of each client.
type gate struct {
	places chan struct{}

	mu      sync.Mutex
	clients map[netip.Addr]int // requests that are inside or waiting; never 0
}

func newGate(places int) *gate {
	return &gate{places: make(chan struct{}, places), clients: map[netip.Addr]int{}}
}

// A place is one request's. Whoever has it leaves it.
type place struct {
	gate   *gate // nil: left
	client netip.Addr
}

// enter takes a place, waiting for one if it must, until the visitor's context is done.
func (g *gate) enter(visitor interface{ Context() context.Context }, client netip.Addr, patience time.Duration) (place, error) {
	if !g.count(client) {
		return place{}, errClientFull
	}
	select {
	case g.places <- struct{}{}:
		return place{g, client}, nil
	default:
	}
	ctx := visitor.Context()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return place{g, client}, nil
	case <-timer.C:
		g.discount(client)
		return place{}, errTargetFull
	case <-ctx.Done():
		g.discount(client)
		return place{}, context.Cause(ctx)
	}
}

// leave may be called twice.
func (p *place) leave() {
	if g := p.gate; g != nil {
		p.gate = nil
		<-g.places
		g.discount(p.client)
	}
}

// count reports false when the client has its share.
func (g *gate) count(client netip.Addr) bool {
	key, shares := exchange.ClientNetwork(client)
	if !shares {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.clients[key]
	if n >= cap(g.places)/clientShare {
		return false
	}
	g.clients[key] = n + 1
	return true
}

func (g *gate) discount(client netip.Addr) {
	key, shares := exchange.ClientNetwork(client)
	if !shares {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.clients[key]; n > 1 {
		g.clients[key] = n - 1
		return
	}
	delete(g.clients, key)
}
