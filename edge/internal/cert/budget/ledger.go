package budget

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"
)

// A ledger is what was spent of the limits of one CA. A bucket that is full again isn't kept.
type ledger struct {
	directory string
	written   time.Time // all that it says is as of then
	damaged   time.Time // when an unreadable ledger was replaced by this one; zero: never, or long ago
	buckets   map[key]bucket
	corrected bool // it was written in the future
}

type key struct{ limit, subject string }

// A bucket is told by the one moment when it is full again: each token spent moves it on by one interval.
type bucket struct {
	full   time.Time
	window time.Duration // how long filling the empty bucket takes
}

func newLedger(directory string) *ledger {
	return &ledger{directory: directory, buckets: make(map[key]bucket)}
}

// at moves the ledger to now. When it was written in the future, by a clock that was wrong, all that was spent then
// counts as spent now: nobody waits until that time has come.
func (g *ledger) at(now time.Time) {
	if ahead := g.written.Sub(now); ahead > 0 {
		g.corrected = true
		for k, b := range g.buckets {
			b.full = b.full.Add(-ahead)
			g.buckets[k] = b
		}
		if !g.damaged.IsZero() {
			g.damaged = g.damaged.Add(-ahead)
		}
	}
	g.written = now
}

// bucket returns the bucket of l, never fuller than full at g.written and never emptier than empty.
func (g *ledger) bucket(l *limit, name string) bucket {
	b, ok := g.buckets[key{l.id, l.subject(name)}]
	switch {
	case !ok:
		b = bucket{full: g.assumed(l), window: l.window}
	case l.lifetime:
		b.window = min(b.window, l.window)
	default:
		b.window = l.window
	}
	b.full = earlier(later(b.full, g.written), g.written.Add(b.window))
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// assumed is when a bucket that the ledger doesn't hold is full. After damage half of everything counts as spent: all
// of it would leave hosts without certificates for days by our own doing, and none of it let a loop that damages the
// ledger order without end. Who is still over the limit hears so from the CA, which costs nothing.
func (g *ledger) assumed(l *limit) time.Time {
	if g.damaged.IsZero() || l.noted {
		return time.Time{}
	}
	return g.damaged.Add(time.Duration(l.count/2) * l.interval(l.window))
}

// spend takes n tokens of l; below zero gives them back. A bucket is never less than empty.
func (g *ledger) spend(l *limit, name string, n int) {
	b := g.bucket(l, name)
	b.full = earlier(b.full.Add(time.Duration(n)*l.interval(b.window)), g.written.Add(b.window))
	g.put(l, name, b)
}

func (g *ledger) put(l *limit, name string, b bucket) {
	g.buckets[key{l.id, l.subject(name)}] = b
}

// next returns when l has a token for name, the zero time if it has one, and the window that counts.
func (g *ledger) next(l *limit, name string) (until time.Time, window time.Duration) {
	b := g.bucket(l, name)
	until = b.full.Add(l.interval(b.window) - b.window)
	if until.Sub(g.written) < time.Millisecond { // the file knows no less
		return time.Time{}, b.window
	}
	return until, b.window
}

// rewindow has the bucket of l fill within window from now on, with as many tokens spent as before.
func (g *ledger) rewindow(l *limit, name string, window time.Duration) {
	b := g.bucket(l, name)
	spent := float64(b.full.Sub(g.written)) / float64(b.window)
	g.put(l, name, bucket{full: g.written.Add(time.Duration(spent * float64(window))), window: window})
}

// prune forgets what is full. A window by lifetime is remembered for a week: it is what tells a name whose certificates
// live for minutes from one that is ordered over and over.
func (g *ledger) prune() {
	maps.DeleteFunc(g.buckets, func(k key, b bucket) bool {
		if k.limit == "name" && b.window < week {
			return !b.full.Add(week).After(g.written)
		}
		return !b.full.After(g.written)
	})
	if !g.damaged.Add(week).After(g.written) {
		g.damaged = time.Time{}
	}
}

// The file: a header that names the CA, when it was written, when the ledger before it was damaged, a line for each bucket in order
// (limit, subject, when it is full, window), and the checksum of what stands before.
//
//	edge certificate budget 1 https://acme-v02.api.letsencrypt.org/directory
//	written 2026-11-25T11:00:00.000Z
//	damaged 2026-11-24T10:00:00.000Z
//	name www.example.com 2026-11-26T20:36:00.000Z 168h0m0s
//	end 1c291ca3
const (
	header     = "edge certificate budget 1 "
	timeFormat = "2006-01-02T15:04:05.000Z"
	endFormat  = "end %08x\n"

	maxWindow  = 10_000 * day
	maxBuckets = 50_000   // six for each of 8,000 names
	maxFile    = 16 << 20 // bytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (g *ledger) encode() []byte {
	out := make([]byte, 0, 128+96*len(g.buckets))
	out = append(out, header+g.directory+"\nwritten "...)
	out = g.written.UTC().AppendFormat(out, timeFormat)
	if !g.damaged.IsZero() {
		out = append(out, "\ndamaged "...)
		out = g.damaged.UTC().AppendFormat(out, timeFormat)
	}
	for _, k := range slices.SortedFunc(maps.Keys(g.buckets), compareKeys) {
		b := g.buckets[k]
		out = append(out, "\n"+k.limit+" "+k.subject+" "...)
		out = b.full.UTC().AppendFormat(out, timeFormat)
		out = append(out, " "+b.window.String()...)
	}
	out = append(out, '\n')
	return fmt.Appendf(out, endFormat, crc32.Checksum(out, castagnoli))
}

func compareKeys(a, b key) int {
	return cmp.Or(strings.Compare(a.limit, b.limit), strings.Compare(a.subject, b.subject))
}

// decode reads what encode wrote for directory. Its errors are damagedErrors.
func decode(data []byte, directory string) (*ledger, error) {
	first, rest, _ := strings.Cut(string(data), "\n")
	switch written, ok := strings.CutPrefix(first, header); {
	case !ok:
		return nil, damagedError("it is no certificate budget of this version")
	case written != directory:
		return nil, damagedError(fmt.Sprintf("it is the budget of %.200q", written))
	}
	const end = len("end 00000000\n")
	body := max(len(rest)-end, 0)
	if rest[body:] != fmt.Sprintf(endFormat, crc32.Checksum(data[:max(len(data)-end, 0)], castagnoli)) {
		return nil, damagedError("it is cut off or was changed: its checksum doesn't match")
	}
	g := newLedger(directory)
	for line := range strings.Lines(rest[:body]) {
		if err := g.decodeLine(strings.Split(strings.TrimSuffix(line, "\n"), " ")); err != nil {
			return nil, damagedError(err.Error())
		}
	}
	return g, nil
}

func (g *ledger) decodeLine(words []string) error {
	var err error
	switch {
	case words[0] == "written" && len(words) == 2:
		g.written, err = time.Parse(timeFormat, words[1])
	case words[0] == "damaged" && len(words) == 2:
		g.damaged, err = time.Parse(timeFormat, words[1])
	case len(words) != 4:
		return fmt.Errorf("a line of it has %d words", len(words))
	case len(g.buckets) == maxBuckets:
		return fmt.Errorf("it has more than %d entries", maxBuckets)
	default:
		var b bucket
		if b.full, err = time.Parse(timeFormat, words[2]); err != nil {
			return err
		}
		if b.window, err = time.ParseDuration(words[3]); err == nil && (b.window < minLifetime || b.window > maxWindow) {
			err = fmt.Errorf("a window of %s", words[3])
		}
		k := key{words[0], words[1]}
		if _, twice := g.buckets[k]; twice && err == nil {
			err = fmt.Errorf("%s stands there twice for %s", k.limit, k.subject)
		}
		g.buckets[k] = b
	}
	return err
}
