package entries

import (
	"fmt"
	"sync"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
)

// A halt keeps entries from being written as types want them that are not in force any more.
type halt struct {
	mu  sync.RWMutex // read-locked by who writes
	set *schema.Set
}

// Halt has no entry be written any more as the types of this set want it (unavailable), whenever who asks for it began. Others may be. It returns when nobody is writing. Nil is none.
func (e *Entries) Halt(set *schema.Set) {
	e.halt.mu.Lock()
	defer e.halt.mu.Unlock()
	e.halt.set = set
}

// unlessHalted makes one try to write an entry of a type.
func (e *Entries) unlessHalted(t *schema.Type, try func() error) error {
	e.halt.mu.RLock()
	defer e.halt.mu.RUnlock()
	if h := e.halt.set; h != nil && h.Type(t.Name) == t {
		return fmt.Errorf("the content type %s is being changed: %w", t.Name, fault.Unavailable)
	}
	return try()
}
