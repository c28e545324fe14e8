package submissions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// countEvery is how long a form's number of submissions is taken to have changed by what is kept here alone.
const countEvery = 10 * time.Second

// rooms know how many submissions of each form there are, as far as that is needed to refuse more than the form may have: a flood that gets through
// screening must not fill the disk that everything else is on. Several hosts may each let through what comes in countEvery.
type rooms struct {
	mu     sync.Mutex
	byForm map[string]*room
}

type room struct {
	mu   sync.Mutex
	n    int
	read time.Time // when n was counted
}

func (r *rooms) of(form string) *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byForm[form] == nil {
		r.byForm[form] = &room{}
	}
	return r.byForm[form]
}

// enter counts one more submission of a form, or returns unavailable when it has as many as it may.
func (s *Submissions) enter(ctx context.Context, form string) error {
	most := s.settings.Load().forms[form].MaxKept
	if most == 0 {
		return nil
	}
	r := s.rooms.of(form)
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.read) >= countEvery {
		n, err := s.store.Count(ctx, collection, store.Eq("form", form))
		if err != nil {
			return err
		}
		r.n, r.read = n, time.Now()
	}
	if r.n >= most {
		return fmt.Errorf("there are %d, which is as many as the form may have (max_kept): %w", r.n, fault.Unavailable)
	}
	r.n++
	return nil
}
