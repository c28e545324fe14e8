package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/plugins/internal/proto"
)

const (
	maxMail    = 100 // messages of a plugin in mailWindow
	mailWindow = time.Hour
)

// SendMail sends a message.
func (p *process) SendMail(ctx context.Context, m *proto.Mail) (*proto.SendMailResponse, error) {
	if !p.mail {
		return nil, fmt.Errorf("the plugin %s may not send mail: its configuration needs may: [mail]: %w", p.plugin, fault.Forbidden)
	}
	if p.services.mailer == nil {
		return nil, fmt.Errorf("edge's configuration does not say how mail is sent: it needs mail: %w", fault.Unavailable)
	}
	quota := p.services.quotaOf(p.plugin)
	sent, err := quota.take(time.Now())
	if err != nil {
		return nil, fmt.Errorf("the plugin %s %w", p.plugin, err)
	}
	err = p.services.mailer.Send(ctx, mail.Message{To: m.GetTo(), ReplyTo: m.GetReplyTo(), Subject: m.GetSubject(), Text: m.GetText(), HTML: m.GetHtml(), ID: p.mailID(m.GetId())})
	if err != nil {
		quota.give(sent)
		return nil, err
	}
	return &proto.SendMailResponse{}, nil
}

// mailID makes an id of the plugin's: two plugins that call their messages the same do not hide one another's.
func (p *process) mailID(id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(p.plugin + "/" + id))
	return hex.EncodeToString(sum[:16])
}

// quota is how much mail a plugin may send: one that has gone wild must not ruin the sender's name.
type quota struct {
	mu   sync.Mutex
	sent []time.Time // in the last mailWindow, in order
}

func (s *Services) quotaOf(plugin string) *quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quotas[plugin] == nil {
		s.quotas[plugin] = &quota{}
	}
	return s.quotas[plugin]
}

// take counts a message; too_many when there were as many as may be.
func (q *quota) take(now time.Time) (time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent = slices.DeleteFunc(q.sent, func(at time.Time) bool { return now.Sub(at) >= mailWindow })
	if len(q.sent) >= maxMail {
		wait := mailWindow - now.Sub(q.sent[0])
		return time.Time{}, fmt.Errorf("has sent %d messages within %v, which is as many as it may: the next in %v: %w", maxMail, mailWindow, wait.Round(time.Second), fault.TooMany)
	}
	q.sent = append(q.sent, now)
	return now, nil
}

// give returns what was not sent.
func (q *quota) give(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.sent, at); i >= 0 {
		q.sent = slices.Delete(q.sent, i, i+1)
	}
}
