package webhooks

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/spool"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	lookEvery    = 10 * time.Second // whether another process has left something
	drainTimeout = 10 * time.Second // for one delivery
	recordFormat = 1
)

// backoff is how long to wait for the store.
type backoff struct{ first, most, next time.Duration }

func (b *backoff) pause() time.Duration {
	b.next = min(max(2*b.next, b.first), b.most)
	return b.next
}

// Run brings what is in the spool into the inbox as soon as the store takes it, until ctx ends.
func (h *Webhooks) Run(ctx context.Context) error {
	if h.spool == nil {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		wait, something := lookEvery, h.spooled
		if err := h.spool.Drain(ctx, h.fetch); err != nil && ctx.Err() == nil {
			wait, something = h.backoff.pause(), nil
			if h.stuck.say(time.Now()) > 0 {
				h.log.Warn("what is in the spool can't be kept yet", "err", err)
			}
		} else {
			h.backoff.next = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-something:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// put puts a delivery into the spool.
func (h *Webhooks) put(ctx context.Context, d inbox.Delivery) error {
	record, err := encodeRecord(d)
	if err != nil {
		return err
	}
	if err := h.spool.Put(ctx, d.Source, record); err != nil {
		return err
	}
	select {
	case h.spooled <- struct{}{}:
	default:
	}
	return nil
}

// fetch keeps a delivery of the spool.
func (h *Webhooks) fetch(ctx context.Context, _ string, record []byte) error {
	d, err := decodeRecord(record)
	if err != nil {
		return &spool.Never{Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	_, _, err = h.inbox.Keep(ctx, d)
	full := (*inbox.Full)(nil)
	switch {
	case err == nil:
		if h.away.Swap(false) {
			h.log.Info("the store is back: what was kept on this host's disk is brought into it")
		}
		return nil
	case errors.As(err, &full):
		return &spool.Blocked{Err: err}
	case errors.Is(err, fault.Unavailable) || ctx.Err() != nil:
		h.away.Store(true)
		return err
	case errors.Is(err, fault.Invalid) || errors.Is(err, fault.TooLarge):
		return &spool.Never{Err: err}
	}
	return &spool.Blocked{Err: err}
}

// encodeRecord writes a delivery: the format, the length of its JSON without the body, that JSON, and the body.
func encodeRecord(d inbox.Delivery) ([]byte, error) {
	body := d.Body
	d.Body = nil
	about, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("a delivery can't be written: %w: %w", fault.Invalid, err)
	}
	record := make([]byte, 5, 5+len(about)+len(body))
	record[0] = recordFormat
	binary.LittleEndian.PutUint32(record[1:], uint32(len(about)))
	return append(append(record, about...), body...), nil
}

// decodeRecord reads what encodeRecord has written.
func decodeRecord(record []byte) (d inbox.Delivery, err error) {
	if len(record) < 5 || record[0] != recordFormat {
		return d, errors.New("it is no delivery of this version")
	}
	about := int64(binary.LittleEndian.Uint32(record[1:]))
	record = record[5:]
	if about > int64(len(record)) {
		return d, errors.New("it is a delivery that is cut off")
	}
	if err := json.Unmarshal(record[:about], &d); err != nil {
		return d, fmt.Errorf("it is no delivery: %w", err)
	}
	d.Body = record[about:]
	return d, nil
}
