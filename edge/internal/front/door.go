package front

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"
)

// A door lets so many TLS handshakes be computed at a time, half as many as there are processors, so that those who come never
// take more than half of the machine from those who are here. The others wait: a handshake is the dearest thing that somebody
// may ask for who has shown nothing yet, as dear as twenty requests.
//
// Clients take turns, whose connections wait in a line of their own, so that it is one's own crowd that one waits behind. A client
// is a /24, or a /64 of IPv6. Where too many wait, the last of a crowd that is among the largest has to go, by a reset, which is
// the cheapest answer there is: somebody who comes alone finds a place. A client that is alone has everything to itself, so that
// nothing is lost by a proxy in front that does not tell visitors' addresses.
//
// Who waits for the visitor's next flight computes nothing and is not counted. One that comes back with it goes before new ones:
// what has been spent on it would else be lost.
type door struct {
	patience time.Duration
	places   int
	breaths  chan *breather // one for each place

	mu      sync.Mutex
	free    int                   // handshakes that may be computed besides those that are
	room    int                   // places that are left in the lines
	begun   list.List             // of *turn: those who have been inside
	clients map[netip.Addr]*crowd // that have somebody waiting
	next    list.List             // of *crowd, in the order of their turns
}

// A crowd is the connections of one client that wait.
type crowd struct {
	client netip.Addr
	line   list.List     // of *turn
	at     *list.Element // of door.next
}

// A turn is one handshake's, from when it waits.
type turn struct {
	ready chan struct{} // closed when it may go in, or has to go
	gone  bool          // it has to go; after ready
	crowd *crowd        // nil: it has been inside
	at    *list.Element // nil: it does not wait any more
}

const (
	// doorRoom is how many connections may wait for each place inside: half a second's work. Each costs some 10 KiB.
	doorRoom = 1024
	// doorPatience is how long one may wait. Visitors go away by then, and connections that nobody waits for are not worth a handshake.
	doorPatience = 3 * time.Second
)

// newDoor returns nil, which lets everybody in, for no places.
func newDoor(places int) *door {
	if places == 0 {
		return nil
	}
	d := &door{patience: doorPatience, places: places, breaths: make(chan *breather, places), free: places, room: places * doorRoom, clients: map[netip.Addr]*crowd{}}
	for range places {
		d.breaths <- newBreather()
	}
	return d
}

// enter waits until the handshake of client may be computed, and reports false if it may not be. Who is let in must leave.
// begun says that it has been inside before.
func (d *door) enter(ctx context.Context, client netip.Addr, begun bool) bool {
	if d == nil {
		return true
	}
	t, ok := d.come(client, begun)
	if t == nil {
		if ok && !begun { // the first flight is what costs; who had to wait in between has waited enough
			d.breathe()
		}
		return ok
	}
	patience := time.NewTimer(d.patience)
	defer patience.Stop()
	select {
	case <-t.ready:
		ok = !t.gone
	case <-patience.C:
		ok = d.giveUp(t)
	case <-ctx.Done():
		ok = d.giveUp(t)
	}
	if ok {
		d.breathe()
	}
	return ok
}

// pass goes through, for who can't say when it has been computed: quic-go's handshakes begin one after the other, then.
func (d *door) pass(ctx context.Context, client netip.Addr) bool {
	if !d.enter(ctx, client, false) {
		return false
	}
	d.leave()
	return true
}

// breathe is for who is inside.
func (d *door) breathe() {
	b := <-d.breaths
	b.breathe()
	d.breaths <- b
}

// come returns a turn to wait for, or none, and whether the client is inside without one.
func (d *door) come(client netip.Addr, begun bool) (*turn, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free > 0 {
		d.free--
		return nil, true
	}
	t := &turn{ready: make(chan struct{})}
	if begun {
		t.at = d.begun.PushBack(t)
		return t, true
	}
	client = doorClient(client)
	c := d.clients[client]
	if d.room <= 0 && !d.makeRoom(c) {
		return nil, false
	}
	if c == nil {
		c = &crowd{client: client}
		c.at = d.next.PushBack(c)
		d.clients[client] = c
	}
	d.room--
	t.crowd, t.at = c, c.line.PushBack(t)
	return t, true
}

// full reports whether somebody new of client would be turned away, as far as that can be known before anything was spent on him.
func (d *door) full(client netip.Addr) bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.clients[doorClient(client)]
	if d.room > 0 || c == nil || c.line.Len() == 1 || c.line.Len() < d.places*doorRoom/len(d.clients) {
		return false
	}
	return true
}

// makeRoom sends somebody away for the sake of somebody of c, which may be nil, and reports false if no crowd that it looked at is
// larger than that one would be. It looks at some, picked at random: there may be as many as there are places. It wants d.mu held.
func (d *door) makeRoom(c *crowd) bool {
	const looks = 8
	var largest *crowd
	seen := 0
	for _, other := range d.clients { // begins anywhere
		if largest == nil || other.line.Len() > largest.line.Len() {
			largest = other
		}
		if seen++; seen == looks {
			break
		}
	}
	own := 1
	if c != nil {
		own += c.line.Len()
	}
	if largest == nil || largest.line.Len() <= own {
		return false
	}
	t := largest.line.Back().Value.(*turn) //nolint:forcetypeassert // a crowd is never empty
	t.gone = true
	d.admit(t)
	return true
}

// leave lets the next one in.
func (d *door) leave() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.begun.Front(); first != nil {
		t := first.Value.(*turn) //nolint:forcetypeassert // nothing else is in there
		d.admit(t)
		return
	}
	first := d.next.Front()
	if first == nil {
		d.free++
		return
	}
	c := first.Value.(*crowd) //nolint:forcetypeassert // nothing else is in there
	d.next.MoveToBack(c.at)
	d.admit(c.line.Front().Value.(*turn)) //nolint:forcetypeassert // a crowd is never empty
}

// admit ends a turn's waiting. It wants d.mu held.
func (d *door) admit(t *turn) {
	d.forget(t)
	close(t.ready)
}

// forget wants d.mu held.
func (d *door) forget(t *turn) {
	c := t.crowd
	if c == nil {
		d.begun.Remove(t.at)
		t.at = nil
		return
	}
	c.line.Remove(t.at)
	t.at = nil
	d.room++
	if c.line.Len() == 0 {
		d.next.Remove(c.at)
		delete(d.clients, c.client)
	}
}

// giveUp ends waiting, and reports whether the turn came meanwhile.
func (d *door) giveUp(t *turn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.at == nil {
		return !t.gone
	}
	d.forget(t)
	return false
}

// doorClient is the network that a client's crowd is of.
func doorClient(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // of no address: none
	return p.Addr()
}

// close ends what the door has of the system's. It goes on without.
func (d *door) close() {
	if d == nil {
		return
	}
	for range cap(d.breaths) {
		b := <-d.breaths
		b.close()
		d.breaths <- b
	}
}
