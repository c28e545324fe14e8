package main

import (
	"context"
	"time"

	"github.com/onehost/edge/deploy/lambda/internal/address"
	"github.com/onehost/edge/deploy/lambda/internal/database"
)

// The states of a subscriber. Who only asked is pending.
const (
	pending      = "pending"
	confirmed    = "confirmed"
	unsubscribed = "unsubscribed"
)

// confirmation is a press of the button.
type confirmation struct {
	id          string    // of the subscriber: their address
	issued      time.Time // when the link was made
	client      string    // the address of who pressed it, as a proof of consent
	unsubscribe string    // the token for the list's mails, which is kept with the subscriber for whoever sends them
}

// subscribers are who wants mail. Each call is one atomic write.
type subscribers interface {
	// request remembers that somebody asked, and says whether the address is confirmed. Then, or if it was unsubscribed, its state stays.
	request(ctx context.Context, a address.Address, client string, now time.Time) (isConfirmed bool, err error)
	// confirm makes who is pending or unsubscribed confirmed, but not by a link from before the end of the subscription, or of somebody
	// who is forgotten: then it says false. Who is confirmed stays it.
	confirm(ctx context.Context, c confirmation, now time.Time) (bool, error)
	// unsubscribe forgets who is pending, and ends a subscription.
	unsubscribe(ctx context.Context, id string, now time.Time) error
}

func newSubscribers(db *database.Database) subscribers {
	if db.Mongo != nil {
		return &mongoSubscribers{all: db.Mongo.Collection("subscribers")}
	}
	return &sqliteSubscribers{db: db.SQLite}
}
