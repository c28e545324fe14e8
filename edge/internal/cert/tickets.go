package cert

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Go's own figures for the keys that crypto/tls looks after itself.
const (
	ticketKeyRotation = 24 * time.Hour     // how long a key makes new tickets
	ticketKeyLifetime = 7 * 24 * time.Hour // how long it opens them: also the longest that RFC 8446, section 4.6.1, lets a ticket live
)

const (
	ticketsHeader  = "edge session ticket keys 1"
	maxTicketKeys  = 32 // eight are usual; hosts that were apart have more together
	maxTicketsFile = 4 << 10
)

// tickets keeps the keys that session tickets are sealed with (RFC 5077; RFC 8446, section 4.6.1), so that a visitor's
// next connection needs no new certificate exchange, even when edge was restarted between the two.
//
// The price is forward secrecy: who gets hold of the file can read what TLS 1.2 sessions sent that were begun or resumed
// with tickets of the last seven days, and was recorded. TLS 1.3 makes new keys for each connection, resumed or not. So
// the file is for this user alone, a key is thrown away after a week, and a file that others could read is not believed.
//
// Hosts that share their keys have them all in one document of the store, sealed, and the file is this host's copy. What one of them makes
// is taken up by the others at once; all of them seal with the newest.
type tickets struct {
	agreement
	path string
	log  *slog.Logger

	mu      sync.Mutex
	keys    []ticketKey // newest first, never empty
	unsaved bool        // keys differ from the file
	failed  bool        // the last writing did, and that has been said
	configs []*tls.Config
}

type ticketKey struct {
	made time.Time // in UTC, to the second
	key  [32]byte
}

// openTickets reads the keys that are kept in dir, and changes nothing there: Run does. What can't be used is said, and
// replaced: the worst that comes of it is that visitors shake hands in full once.
func openTickets(dir string, log *slog.Logger) *tickets {
	t := &tickets{path: filepath.Join(dir, "tickets"), log: log, agreement: newAgreement()}
	kept, err := readTicketKeys(t.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("session ticket keys are not usable: new ones are made, and visitors shake hands in full once", "file", t.path, "err", err)
	}
	t.keys = kept
	t.rotate(time.Now())
	return t
}

// serve makes c open and seal session tickets with the keys, from now on and as they change. It must be the very
// configuration that connections are served with: a clone keeps the keys of its day.
func (t *tickets) serve(c *tls.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.configs = append(t.configs, c)
	c.SetSessionTicketKeys(plainKeys(t.keys))
}

// Run makes a new key every day, throws old ones away and keeps the file in step, until ctx is done.
func (t *tickets) Run(ctx context.Context) { t.run(ctx, t.agree, t.takeUp) }

// renew makes the key that is due, throws old ones away and writes the file, if that is to be done.
func (t *tickets) renew(now time.Time) { t.change(now, nil) }

// change puts keys in place of those that there are, nil: leaves them, and renews.
func (t *tickets) change(now time.Time, keys []ticketKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := keys != nil && !slices.Equal(keys, t.keys)
	if changed {
		t.keys, t.unsaved = keys, true
	}
	if t.rotate(now) || changed {
		for _, c := range t.configs {
			c.SetSessionTicketKeys(plainKeys(t.keys))
		}
	}
	if t.unsaved {
		t.save()
	}
}

// rotate has the keys be what they should be now, and reports whether that changed anything.
func (t *tickets) rotate(now time.Time) bool {
	valid := rotated(t.keys, now)
	if slices.Equal(valid, t.keys) {
		return false
	}
	t.keys, t.unsaved = valid, true
	return true
}

// rotated are the keys without those that have had their time, and with a new one when it is due. A key that the clock says is
// not made yet goes, too: it might never be old enough.
func rotated(keys []ticketKey, now time.Time) []ticketKey {
	valid := slices.DeleteFunc(slices.Clone(keys), func(k ticketKey) bool {
		age := now.Sub(k.made)
		return age < 0 || age >= ticketKeyLifetime
	})
	if len(valid) == 0 || now.Sub(valid[0].made) >= ticketKeyRotation {
		fresh := ticketKey{made: now.UTC().Truncate(time.Second)}
		rand.Read(fresh.key[:]) // never fails
		valid = slices.Insert(valid, 0, fresh)
	}
	return valid
}

// save writes the file. Where that fails the keys in memory serve on: only a restart would miss the file.
func (t *tickets) save() {
	err := os.MkdirAll(filepath.Dir(t.path), 0o700)
	if err == nil {
		err = writeFile(t.path, encodeTicketKeys(t.keys), 0o600)
	}
	if err != nil && !t.failed {
		t.log.Warn("session ticket keys can't be written: sessions are resumed, but not after a restart", "file", t.path, "err", err)
	}
	t.failed = err != nil
	t.unsaved = t.failed
}

func plainKeys(keys []ticketKey) [][32]byte {
	plain := make([][32]byte, len(keys))
	for i, k := range keys {
		plain[i] = k.key
	}
	return plain
}

func readTicketKeys(path string) ([]ticketKey, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %v, and must be a file that nobody else can read", path, mode)
	}
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return decodeTicketKeys(data)
}

// encodeTicketKeys writes a header and a line for each key, newest first: when it was made, and base64.
func encodeTicketKeys(keys []ticketKey) []byte {
	b := []byte(ticketsHeader + "\n")
	for _, k := range keys {
		b = append(k.made.AppendFormat(b, time.RFC3339), ' ')
		b = append(base64.StdEncoding.AppendEncode(b, k.key[:]), '\n')
	}
	return b
}

// decodeTicketKeys accepts what encodeTicketKeys writes and nothing else.
func decodeTicketKeys(data []byte) ([]ticketKey, error) {
	if len(data) > maxTicketsFile {
		return nil, errors.New("too large for a file of session ticket keys")
	}
	rest, ok := bytes.CutPrefix(data, []byte(ticketsHeader+"\n"))
	if !ok {
		return nil, errors.New("not a file of session ticket keys")
	}
	var keys []ticketKey
	for line := range bytes.Lines(rest) {
		k, err := decodeTicketKey(line)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 || len(keys) > maxTicketKeys {
		return nil, fmt.Errorf("%d keys; 1 to %d are expected", len(keys), maxTicketKeys)
	}
	if !slices.IsSortedFunc(keys, func(a, b ticketKey) int { return b.made.Compare(a.made) }) {
		return nil, errors.New("the newest key is not the first")
	}
	return keys, nil
}

func decodeTicketKey(line []byte) (k ticketKey, err error) {
	made, sealed, _ := bytes.Cut(line, []byte(" "))
	if k.made, err = time.Parse(time.RFC3339, string(made)); err != nil {
		return k, errors.New("no time")
	}
	k.made = k.made.UTC()
	secret, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSuffix(sealed, []byte("\n")))
	if err != nil || len(secret) != len(k.key) {
		return k, fmt.Errorf("not %d bytes in base64", len(k.key))
	}
	copy(k.key[:], secret)
	if again := encodeTicketKeys([]ticketKey{k}); !bytes.HasSuffix(again, append([]byte("\n"), line...)) {
		return k, errors.New("not written as edge writes it")
	}
	return k, nil
}
