// Package budget keeps on disk what was asked of each CA, so that edge never harms itself at a CA's rate limits: not in
// a loop, not when it is killed and started over and over, not on a full disk.
//
// It is this host's own. Hosts that share certificates order one after the other, and each writes down what it asked for itself; where
// they fail for the same reason, their attempts add up at the CA.
//
// In come orders before they go out, and what became of them. What can't be written down isn't ordered. An order that
// was never settled, because the process was killed, counts as if it had brought a certificate: nobody knows.
package budget

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// A Budget is the spending at all CAs, in one file for each. It is safe for concurrent use, also by several processes.
type Budget struct {
	dir string
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex         // has the goroutines of this process queue up for the lock; guards last
	last map[string]version // by directory: as it was last written here, to save reading it again
}

// version is a ledger and its file's content.
type version struct {
	data   []byte
	ledger *ledger
}

// New returns the Budget in dir. It reads and writes nothing before it is asked; dir is made when it is needed.
func New(dir string, log *slog.Logger) *Budget {
	return &Budget{dir: dir, log: log, now: time.Now, last: make(map[string]version)}
}

// A Spend is one order, or one registration, that was written down. Who made it says what became of it, once, by
// calling Issued, Failed, RateLimited or Unanswered; only the first call counts.
type Spend struct {
	budget *Budget
	issuer Issuer
	name   string
	limits []limit
	settle sync.Once
}

// Order takes what one order for name costs, or says why it may not be sent: a *Spent when it would overdraw a limit,
// any other error when it could not be written down. It is on the disk before Order returns.
func (b *Budget) Order(issuer Issuer, name string, kind Kind) (*Spend, error) {
	name, err := canonical(name)
	if err != nil {
		return nil, err
	}
	return b.take(issuer, name, heeded(issuer.limits(), kind))
}

// Register takes what registering one account costs; errors are as Order's.
func (b *Budget) Register(issuer Issuer) (*Spend, error) {
	return b.take(issuer, wholeAccount, []limit{newAccounts})
}

// Check says what Order would say now, and spends nothing. It may be called while another process orders, and needs
// no more than the right to read.
func (b *Budget) Check(issuer Issuer, name string, kind Kind) error {
	name, err := canonical(name)
	if err != nil {
		return err
	}
	file := fileOf(b.dir, issuer.Directory)
	g, damage, err := b.read(file, issuer.Directory, version{})
	if err != nil {
		return err
	}
	if damage != "" {
		b.log.Warn("the certificate budget is damaged; half of it will count as spent", "file", file, "reason", damage)
	}
	return g.refusal(issuer, name, heeded(issuer.limits(), kind))
}

func heeded(all []limit, kind Kind) []limit {
	var limits []limit
	for _, l := range all {
		if l.kinds&kind != 0 {
			limits = append(limits, l)
		}
	}
	return limits
}

// refusal returns the *Spent that lasts longest, nil if there is a token of every limit.
func (g *ledger) refusal(issuer Issuer, name string, limits []limit) error {
	var last time.Time
	var refusal error
	for i := range limits {
		l := &limits[i]
		if until, window := g.next(l, name); until.After(last) {
			last = until
			refusal = l.spentError(issuer, name, window, until)
		}
	}
	return refusal
}

func (b *Budget) take(issuer Issuer, name string, limits []limit) (*Spend, error) {
	err := b.change(issuer, func(g *ledger) error {
		if err := g.refusal(issuer, name, limits); err != nil {
			return err
		}
		for i := range limits {
			if l := &limits[i]; l.spent == atOrder || l.spent == atCertificate {
				g.spend(l, name, 1)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Spend{budget: b, issuer: issuer, name: name, limits: limits}, nil
}

// Issued settles an order that brought a certificate that ends at notAfter.
func (s *Spend) Issued(notAfter time.Time) error {
	return s.settled(func(g *ledger, l *limit) {
		if l.reset {
			g.put(l, s.name, bucket{full: g.written, window: l.window})
		}
		if l.lifetime {
			g.rewindow(l, s.name, min(max(notAfter.Sub(g.written).Truncate(time.Second), minLifetime), l.window))
		}
	})
}

// Failed settles an order that the CA answered without a certificate, after that many failed validations: none when it
// refused for another reason, several when each kind of challenge was tried.
func (s *Spend) Failed(validations int) error {
	return s.settled(func(g *ledger, l *limit) {
		switch l.spent {
		case atCertificate:
			g.spend(l, s.name, -1)
		case atFailure:
			g.spend(l, s.name, min(max(validations, 0), l.count))
		case atOrder, atRefusal:
		}
	})
}

// RateLimited settles an order that the CA refused because it has its own count (RFC 8555, section 6.6): nothing is
// ordered for the name before until, at most a week from now.
func (s *Spend) RateLimited(until time.Time) error {
	return s.settled(func(g *ledger, l *limit) {
		switch l.spent {
		case atCertificate:
			g.spend(l, s.name, -1)
		case atRefusal:
			g.put(l, s.name, bucket{full: until, window: l.window})
		case atOrder, atFailure:
		}
	})
}

// Unanswered settles what the CA never got, as when it is down: all is given back. It is not for an order whose
// outcome is unknown; leaving that one unsettled counts it.
func (s *Spend) Unanswered() error {
	return s.settled(func(g *ledger, l *limit) {
		if l.spent == atOrder || l.spent == atCertificate {
			g.spend(l, s.name, -1)
		}
	})
}

func (s *Spend) settled(each func(*ledger, *limit)) (err error) {
	s.settle.Do(func() {
		err = s.budget.change(s.issuer, func(g *ledger) error {
			for i := range s.limits {
				each(g, &s.limits[i])
			}
			return nil
		})
	})
	return err
}

// change has f change the ledger of issuer as it is now, and writes it, unless f refuses: then nothing is as if spent.
func (b *Budget) change(issuer Issuer, f func(*ledger) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return unwritable(err)
	}
	unlock, err := lockDir(b.dir)
	if err != nil {
		return unwritable(err)
	}
	defer unlock()
	file, aside := fileOf(b.dir, issuer.Directory), ""
	g, damage, err := b.read(file, issuer.Directory, b.last[issuer.Directory])
	if err != nil {
		return err
	}
	delete(b.last, issuer.Directory) // what f changes is true only once it is written
	if damage != "" {
		aside = file + ".damaged"
	}
	refusal := f(g)
	if refusal != nil && damage == "" && !g.corrected {
		return refusal
	}
	g.prune()
	if len(g.buckets) > maxBuckets {
		return unwritable(fmt.Errorf("more than %d limits are in use", maxBuckets))
	}
	data := g.encode()
	if err := writeFile(file, data, aside); err != nil {
		return unwritable(err)
	}
	b.last[issuer.Directory] = version{data, g}
	if damage != "" {
		b.log.Warn("the certificate budget was damaged: it is set aside, and half of it counts as spent", "file", aside, "reason", damage)
	}
	return refusal
}

func unwritable(err error) error {
	return fmt.Errorf("what is asked of the CA can't be written down, so it isn't asked: %w; see to free space and the rights of the data directory", err)
}

// read returns the ledger in file as it is now, which is last's if nobody else has written since. In place of a damaged
// one it returns a new one, and what is wrong with it.
func (b *Budget) read(file, directory string, last version) (g *ledger, damage string, err error) {
	if len(directory) > 2000 || strings.ContainsFunc(directory, unicode.IsControl) {
		return nil, "", fmt.Errorf("%.200q is not the URL of an ACME directory", directory)
	}
	now := b.now()
	data, err := readFile(file)
	switch {
	case err != nil:
	case data == nil:
		g = newLedger(directory)
	case last.ledger != nil && bytes.Equal(data, last.data):
		g = last.ledger
	default:
		g, err = decode(data, directory)
	}
	if damaged, ok := errors.AsType[damagedError](err); ok {
		g, damage = newLedger(directory), string(damaged)
		g.damaged = now
	} else if err != nil {
		return nil, "", fmt.Errorf("the certificate budget can't be read: %w; give the user that edge runs as the right to read it", err)
	}
	g.at(now)
	return g, damage, nil
}
