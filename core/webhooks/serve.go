package webhooks

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/core/webhooks/signature"
)

// How long the parts of receiving may take: together less than the 10 s after which most providers give up.
const (
	readTimeout   = 10 * time.Second // a slow sender's own time
	verifyTimeout = 4 * time.Second
	keepTimeout   = 2000 * time.Millisecond
	spoolTimeout  = 2 * time.Second
	patience      = 1500 * time.Millisecond // for those that came before
	retryAfter    = 30 * time.Second
)

// ServeHTTP answers one request.
func (h *Webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := (*h.sources.Load())[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
	if source == nil {
		refuse(w, r, &refusal{status: http.StatusNotFound, code: string(fault.NotFound), detail: "There is no source of webhooks at this address."})
		return
	}
	v := &visit{Webhooks: h, source: source, w: w, r: r, at: time.Now()}
	outcome, err := v.receive()
	source.counts.add(outcome)
	if err != nil {
		refuse(w, r, v.refusal(err))
	}
}

// A visit is one request to a source.
type visit struct {
	*Webhooks
	source  *source
	w       http.ResponseWriter
	r       *http.Request
	at      time.Time
	request *signature.Request
}

// receive takes a request all the way; with an error nothing was answered yet.
func (v *visit) receive() (Outcome, error) {
	post := v.r.Method == http.MethodPost
	if !post && v.r.Method != http.MethodGet && v.r.Method != http.MethodOptions {
		return Malformed, errMethod
	}
	var body []byte
	if post {
		room := &bodyRoom{all: &v.bodies}
		defer room.leave()
		var err error
		if body, err = readBody(v.w, v.r, int64(v.source.Body), room); errors.Is(err, errTooLarge) {
			return TooLarge, err
		} else if errors.Is(err, errCrowded) {
			return Unavailable, err
		} else if err != nil {
			return Malformed, err
		}
	}
	v.request = &signature.Request{Method: v.r.Method, URL: address(v.r, v.source.URL), Header: v.r.Header, Body: body, At: v.at}
	ctx, cancel := context.WithTimeout(v.r.Context(), verifyTimeout)
	defer cancel()
	if answer, err := v.source.verifier.Handshake(ctx, v.request); err != nil {
		return v.unverified(err)
	} else if answer != nil {
		if answer.Note != "" {
			v.log.Info("a source of webhooks has looked whether this address is its own", "source", v.source.name, "request_id", v.requestID(), "note", answer.Note)
		}
		v.tell(answer)
		return Handshaken, nil
	}
	if !post {
		return Malformed, errMethod
	}
	event, err := v.source.verifier.Verify(ctx, v.request)
	if err != nil {
		return v.unverified(err)
	}
	v.source.rejected.accepted()
	return v.keep(v.delivery(event))
}

// unverified notes why a request is not taken for the source's.
func (v *visit) unverified(err error) (Outcome, error) {
	why, ok := errors.AsType[*signature.Refusal](err)
	if !ok {
		if n := v.source.unsure.say(v.at); n > 0 { // anybody can have a certificate be looked for that is not there
			v.log.Error("deliveries could not be verified: the source was told to come later", "source", v.source.name, "since_last_said", n, "request_id", v.requestID(), "err", err)
		}
		return Unavailable, err
	}
	if n := v.source.rejected.add(v.rejection(why)); n > 0 {
		v.log.Warn("deliveries were refused: they are not the source's as it is configured; see edge webhooks doctor", "source", v.source.name, "since_last_said", n,
			"reason", string(why.Reason), "detail", why.Detail, "client", v.clientText(), "request_id", v.requestID())
	}
	return Refused, err
}

// delivery is what is kept of a verified request.
func (v *visit) delivery(event signature.Event) inbox.Delivery {
	d := inbox.Delivery{
		ID: store.NewID(), Source: v.source.name, EventID: event.ID, Type: event.Type, Plugin: v.source.Plugin, At: v.at,
		Method: v.r.Method, Path: v.r.URL.RequestURI(), Header: fields(v.r.Header, v.source.Verify.Header), Body: v.request.Body,
		Client: v.clientText(), RequestID: strings.ToValidUTF8(v.requestID(), "?"), Sync: v.source.Sync != nil,
	}
	if v.source.FIFO != "" {
		d.Key, _ = signature.Key(v.source.FIFO, v.r.Header, v.request.Body)
	}
	return d
}

// keep keeps a delivery, and acknowledges it. The source may have gone: it is kept all the same.
func (v *visit) keep(d inbox.Delivery) (Outcome, error) {
	ctx := context.WithoutCancel(v.r.Context())
	if v.spool != nil && !v.itsTurn(ctx, d.Source) {
		return v.putAside(ctx, d, nil)
	}
	within, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	kept, repeat, err := v.inbox.Keep(within, d)
	full := (*inbox.Full)(nil)
	switch {
	case errors.As(err, &full):
		v.lose(d, err)
		return Full, err
	case errors.Is(err, fault.Unavailable):
		return v.putAside(ctx, d, err)
	case err != nil:
		v.lose(d, err)
		return Failed, err
	case repeat:
		v.acknowledge()
		return Repeated, nil
	case v.source.Sync != nil && v.dispatch != nil:
		v.wait(kept)
		return Kept, nil
	}
	v.acknowledge()
	return Kept, nil
}

// itsTurn reports whether a delivery may be kept at once, because none that came before it is in the spool: it waits a little for them, so that a source that sends faster
// than the spool is drained is slowed down, and comes to an end of it. When the store is away nobody has to find that out for himself.
func (h *Webhooks) itsTurn(ctx context.Context, source string) bool {
	if n, _ := h.spool.Len(); n > 0 && h.away.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	return h.spool.Wait(ctx, source) == nil
}

// lose says that a delivery could not be kept, which its source is told.
func (v *visit) lose(d inbox.Delivery, err error) {
	if n := v.source.lost.say(v.at); n > 0 {
		v.log.Error("deliveries could not be kept: the source was told so", "source", d.Source, "since_last_said", n, "request_id", d.RequestID, "err", err)
	}
}

// putAside puts a delivery into the spool, and acknowledges it. away is why it could not be kept.
func (v *visit) putAside(ctx context.Context, d inbox.Delivery, away error) (Outcome, error) {
	if v.spool == nil {
		v.lose(d, away)
		return Unavailable, away
	}
	ctx, cancel := context.WithTimeout(ctx, spoolTimeout)
	defer cancel()
	if away != nil && !v.away.Swap(true) { // before it is in the spool: Run takes this back when it has brought it in
		v.log.Warn("the store is away: deliveries are kept on this host's disk until it is back", "err", away)
	}
	if err := v.put(ctx, d); err != nil {
		v.lose(d, errors.Join(away, err))
		return Unavailable, err
	}
	if v.source.Sync != nil {
		v.tell(v.source.verifier.Deferred())
	} else {
		v.tell(&signature.Answer{Status: http.StatusAccepted})
	}
	return Spooled, nil
}

// wait answers with what the plugin says, or that it comes later.
func (v *visit) wait(kept inbox.Delivery) {
	answer, err := v.dispatch.Now(v.r.Context(), kept, v.source.Sync.Timeout)
	switch {
	case err == nil && answer != nil:
		v.pass(answer)
	case err == nil:
		v.acknowledge()
	default:
		if !errors.Is(err, dispatch.ErrLater) && v.r.Context().Err() == nil {
			v.log.Warn("a source that waits got no answer of its plugin", "source", kept.Source, "id", kept.ID, "request_id", kept.RequestID, "err", err)
		}
		v.tell(v.source.verifier.Deferred())
	}
}

// clientText is who asks; "" is nobody known.
func (v *visit) clientText() string {
	peer, err := netip.ParseAddrPort(v.r.RemoteAddr)
	if err != nil {
		return ""
	}
	return peer.Addr().Unmap().WithZone("").String()
}

func (v *visit) requestID() string { return v.r.Header.Get("X-Request-Id") }
