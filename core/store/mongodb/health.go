package mongodb

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/onehost/edge/core/fault"
)

// health is what the driver's monitors know of the servers, so that nobody waits for a primary that has been missing for a while.
type health struct {
	mu         sync.Mutex
	primary    bool
	since      time.Time // when the primary was lost, or opening
	standalone bool
	servers    string // what they are, for people
}

func (h *health) changed(e *event.TopologyDescriptionChangedEvent) {
	var primary, standalone bool
	var servers []string
	for _, server := range e.NewDescription.Servers {
		primary = primary || server.Kind == "RSPrimary" || server.Kind == "Mongos"
		standalone = standalone || server.Kind == "Standalone"
		servers = append(servers, fmt.Sprintf("%s is %s", server.Addr, inWords(server.Kind)))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.primary && !primary {
		h.since = time.Now()
	}
	h.primary, h.servers = primary, strings.Join(servers, ", ")
	h.standalone = standalone
}

func inWords(kind string) string {
	switch kind {
	case "RSGhost":
		return "not initiated (rs.initiate)"
	case "RSSecondary":
		return "secondary"
	case "RSPrimary":
		return "primary"
	case "Unknown":
		return "not reached"
	}
	return kind
}

// check returns at once why nothing can be done, when that has been known for a while.
func (h *health) check(hosts string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.standalone:
		return errStandalone(hosts)
	case !h.primary && time.Since(h.since) > selectWithin:
		return fmt.Errorf("MongoDB has had no primary for %v (%s): %w", time.Since(h.since).Round(time.Second), h.servers, fault.Unavailable)
	}
	return nil
}

// String says what the servers are.
func (h *health) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.servers
}
