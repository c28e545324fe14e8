package proxy

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/onehost/edge/edge/internal/exchange"
)

// switchProtocols answers 101 and carries bytes both ways until both sides have ended, one of them has failed, nothing
// moved for the idle limit, or the target's or the server's time is over. It ends the attempt.
func (p *Proxy) switchProtocols(a *attempt, ans *answer) *failure {
	defer a.end()
	defer ans.body.Close()
	switched := ans.switched
	defer switched.Close()
	visitor, err := a.x.Upgrade()
	if err != nil {
		return visitorFailed(err)
	}
	defer visitor.Close()
	stop := context.AfterFunc(a.context(), func() {
		_ = switched.Close()
		_ = visitor.Close()
	})
	defer stop()

	var up int64
	var both sync.WaitGroup
	both.Go(func() { up = p.carry(a, switched, visitor) })
	down := p.carry(a, visitor, switched)
	both.Wait()
	a.x.Record.BytesIn += up
	a.x.Record.BytesOut += down
	switch cause := a.interruption(); {
	case errors.Is(cause, errDrained):
		a.x.Record.ErrorReason = "target_drained"
	case errors.Is(cause, errTargetSilent):
		a.x.Record.ErrorReason = "idle"
	case errors.Is(cause, exchange.ErrShutdown):
		a.x.Record.ErrorReason = "shutdown"
	}
	return nil
}

// carry copies what from says to to until from ends, which to is told. It returns how many bytes that was.
// An error on either side ends both directions.
func (p *Proxy) carry(a *attempt, to, from io.ReadWriteCloser) int64 {
	buf := p.buffers.get()
	var total int64
	for {
		n, err := from.Read(buf[:])
		a.touch()
		if n > 0 {
			written, werr := to.Write(buf[:n])
			a.touch()
			total += int64(written)
			if werr != nil { // buf is lost: who failed to write it may still look at it
				_ = from.Close()
				_ = to.Close()
				return total
			}
		}
		if err == nil {
			continue
		}
		p.buffers.put(buf)
		ended := errors.Is(err, io.EOF)
		if !ended || closeWrite(to) != nil {
			_ = to.Close()
		}
		if !ended {
			_ = from.Close()
		}
		return total
	}
}
