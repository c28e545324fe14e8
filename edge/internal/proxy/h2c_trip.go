package proxy

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
)

// h2cTrip is what net/http tells of a request on its way, from several goroutines.
type h2cTrip struct {
	a     *attempt
	start time.Time

	connect, wrote, answered atomic.Int64 // as time since start; 0: not yet

	mu        sync.Mutex
	ended     bool // send is about to return: the exchange is no longer ours
	connected bool
	reused    bool
	interim   int
}

func (t *h2cTrip) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:              t.gotConn,
		WroteHeaders:         func() { t.wrote.Store(int64(time.Since(t.start))) },
		GotFirstResponseByte: func() { t.answered.Store(int64(time.Since(t.start))) },
		Got1xxResponse:       t.informational,
	}
}

// gotConn comes for each connection that is tried.
func (t *h2cTrip) gotConn(info httptrace.GotConnInfo) {
	if !info.Reused {
		t.connect.Store(int64(time.Since(t.start)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected, t.reused = true, info.Reused
}

// informational passes a 1xx answer on. 100 is the front's own business: it says so when the body is first read.
func (t *h2cTrip) informational(status int, h textproto.MIMEHeader) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || status == http.StatusContinue {
		return nil
	}
	if t.interim++; t.interim > maxInterim {
		return errBadAnswer
	}
	return t.a.inform(status, appendHeader(nil, http.Header(h)))
}

// end waits until nobody is telling anything any more.
func (t *h2cTrip) end() progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	wrote, answered := t.wrote.Load(), t.answered.Load()
	begun := answered > 0
	if wrote > 0 && !begun {
		answered = int64(time.Since(t.start))
	}
	return progress{
		connected: t.connected,
		reused:    t.reused,
		sent:      wrote > 0,
		begun:     begun,
		connect:   time.Duration(t.connect.Load()),
		wait:      time.Duration(max(0, answered-wrote)),
	}
}
