package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail"
)

// post sends mail by the configuration in service.
type post struct {
	log *slog.Logger

	mu         sync.Mutex
	configured *config.Mail
	mailer     *mail.Mailer // of configured; nil until it is needed
}

// use makes this the configuration from now on; nil: there is no mail.
func (p *post) use(configured *config.Mail) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.configured, p.mailer = configured, nil
}

// Send sends a message. Invalid: it never will be, as things are configured.
func (p *post) Send(ctx context.Context, m mail.Message) error {
	mailer, err := p.current(ctx)
	if err != nil {
		return err
	}
	return mailer.Send(ctx, m)
}

func (p *post) current(ctx context.Context) (*mail.Mailer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.configured == nil {
		return nil, fmt.Errorf("the configuration does not say how mail is sent (mail): %w", fault.Invalid)
	}
	if p.mailer == nil {
		mailer, err := mail.New(ctx, *p.configured, p.log)
		if err != nil {
			return nil, err
		}
		p.mailer = mailer
	}
	return p.mailer, nil
}
