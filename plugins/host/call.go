package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/webhooks/dispatch"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var _ dispatch.Handler = (*Host)(nil)

// Run is one execution of a job.
type Run struct {
	ID      string // the same in each attempt for one due time
	Job     string
	Due     time.Time
	Attempt int // 1 in the first
}

// Handle has the plugin d.Plugin handle a delivery. The error is a *dispatch.Down when nobody got it: the plugin is not running, or handles no webhooks; or when edge itself
// cut the call short, because it stops or reloads the plugin. It is a *dispatch.Died when the process ended while it had the delivery. Any other one is in the plugin's words.
func (h *Host) Handle(ctx context.Context, d inbox.Delivery, attempt int) (dispatch.Outcome, error) {
	u, err := h.unit(d.Plugin)
	if err != nil {
		return dispatch.Outcome{}, &dispatch.Down{Err: err}
	}
	return u.call(ctx, func(ctx context.Context, p *process) (*proto.Outcome, error) {
		if !p.said.GetWebhooks() {
			return nil, &dispatch.Down{Err: fmt.Errorf("the plugin %s handles no webhooks: give it a handler and reload it, or have another plugin in the source's configuration", u.name)}
		}
		return p.api.HandleWebhook(ctx, message(d, attempt))
	})
}

// RunJob has a plugin run a job. Its errors are those of [Host.Handle]; a job that the plugin does not have fails.
func (h *Host) RunJob(ctx context.Context, plugin string, r Run) (dispatch.Outcome, error) {
	u, err := h.unit(plugin)
	if err != nil {
		return dispatch.Outcome{}, &dispatch.Down{Err: err}
	}
	return u.call(ctx, func(ctx context.Context, p *process) (*proto.Outcome, error) {
		if !has(p.said.GetJobs(), r.Job) {
			reason := fmt.Sprintf("the plugin %s has no job %q: it has %s", u.name, r.Job, listed(p.said.GetJobs()))
			return &proto.Outcome{Kind: proto.Outcome_FAIL, Reason: reason}, nil
		}
		return p.api.RunJob(ctx, &proto.Run{Id: r.ID, Job: r.Job, Due: timestamppb.New(r.Due), Attempt: int32(r.Attempt)})
	})
}

// call makes a call of the process that is of service, and says what came of it.
func (u *unit) call(ctx context.Context, do func(context.Context, *process) (*proto.Outcome, error)) (dispatch.Outcome, error) {
	u.awaitFirst(ctx)
	p, err := u.hold()
	if err != nil {
		return dispatch.Outcome{}, &dispatch.Down{Err: err}
	}
	defer p.release()
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.host.times.deadline)
		defer cancel()
	}
	begun := time.Now()
	out, err := do(ctx, p)
	if err != nil {
		return dispatch.Outcome{}, p.classify(ctx, err, begun)
	}
	p.answered.Add(1)
	return p.outcome(out), nil
}

// classify says what an error of a call means.
func (p *process) classify(ctx context.Context, err error, begun time.Time) error {
	if _, ok := errors.AsType[*dispatch.Down](err); ok {
		return err
	}
	code := status.Code(err)
	if code == codes.Unavailable && p.gone() || closed(p.group.ended) && ctx.Err() == nil {
		<-p.ended
		if p.replaced() {
			return &dispatch.Down{Err: fmt.Errorf("the plugin %s was stopped before it was done", p.name)}
		}
		if p.group.endedAt.Before(begun) {
			return &dispatch.Down{Err: fmt.Errorf("the plugin %s had ended: %w", p.name, p.failure())}
		}
		return &dispatch.Died{Err: fmt.Errorf("the plugin %s: %w", p.name, p.failure())}
	}
	if ctx.Err() != nil { // it had no time to say anything
		return fmt.Errorf("the plugin %s did not answer in time: %w", p.name, ctx.Err())
	}
	if code != codes.Unavailable {
		p.answered.Add(1)
	}
	return fmt.Errorf("the plugin %s: %s", p.name, p.words(err))
}

// replaced reports whether edge ended the process for no fault of its own.
func (p *process) replaced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ordered && p.cause == nil
}

// message is a delivery as it goes over the wire.
func message(d inbox.Delivery, attempt int) *proto.Delivery {
	m := &proto.Delivery{
		Id: d.ID, Source: d.Source, EventId: d.EventID, Type: d.Type, Received: timestamppb.New(d.At),
		Method: d.Method, Path: d.Path, Body: d.Body, Attempt: int32(attempt), Sync: d.Sync,
	}
	for _, f := range d.Header {
		if !credentials(f.Name) {
			m.Header = append(m.Header, &proto.Field{Name: text(f.Name), Value: text(f.Value)})
		}
	}
	return m
}

// credentials reports whether a field says who the sender is, and no plugin has to know how.
func credentials(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie":
		return true
	}
	return false
}

// text is a text as protobuf has it: UTF-8. Fields of a head may be anything.
func text(s string) string { return strings.ToValidUTF8(s, "�") }

func has(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

func listed(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
