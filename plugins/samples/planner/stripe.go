package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/plugins/sdk"
)

// stripeEvent is Stripe's envelope (https://docs.stripe.com/api/events/object).
type stripeEvent struct {
	ID      string
	Object  string // "event"
	Type    string
	Created int64 // seconds since 1970
	Data    struct{ Object json.RawMessage }
}

// stripeObject is what is of use here of a checkout session, an invoice and a subscription.
type stripeObject struct {
	Customer        string
	CustomerEmail   string                 `json:"customer_email"`
	CustomerDetails struct{ Email string } `json:"customer_details"`
	Invoice         string
	Number          string
	PaymentStatus   string `json:"payment_status"`
	AmountTotal     int64  `json:"amount_total"`
	AmountPaid      int64  `json:"amount_paid"`
	Currency        string
	Metadata        struct{ Plan string }
}

// customer is what is known of one of Stripe's customers.
type customer struct {
	Plan   string           `json:"plan,omitempty"`
	Status string           `json:"status"` // active or cancelled
	Email  string           `json:"email,omitempty"`
	Paid   map[string]int64 `json:"paid,omitempty"` // by currency, in its smallest unit
	At     int64            `json:"at"`             // when Stripe's last event was made: they come in any order
	Events []string         `json:"events"`         // the last that were taken in
}

// stripe keeps a customer's plan, and tells the operator of who paid and who left.
func (p planner) stripe(ctx sdk.Context, d *sdk.Delivery, event stripeEvent) sdk.Result {
	var object stripeObject
	switch event.Type {
	case "checkout.session.completed", "invoice.paid", "customer.subscription.deleted":
		if err := json.Unmarshal(event.Data.Object, &object); err != nil {
			return sdk.Fail(fmt.Sprintf("%s is not as Stripe makes it: %v", event.Type, err))
		}
	default:
		return sdk.Skip("the planner has no use for " + event.Type)
	}
	switch {
	case object.Customer == "":
		return sdk.Skip("it is about no customer")
	case object.PaymentStatus == "unpaid":
		return sdk.Skip("it is not paid yet: another event comes when it is")
	}
	ctx.Log().Info("stripe", "event", event.Type, "customer", object.Customer)
	err := ctx.Once("customer/"+event.ID, func() error {
		return update(ctx, "customer/"+object.Customer, func(c *customer) { c.take(event, object) })
	})
	if err == nil {
		err = p.seen(ctx, "events/"+d.Source+"/stripe", "stripe/"+event.Type, happening{ID: d.ID, Kind: event.Type, At: d.Received, Summary: object.Customer})
	}
	if subject := object.subject(event.Type); err == nil && subject != "" {
		err = p.tell(ctx, event.ID, subject, fmt.Sprintf("%s\n\nCustomer: %s %s\nInvoice: %s\nEvent: %s, %s\n",
			subject, object.Customer, object.email(), object.Number, event.ID, time.Unix(event.Created, 0).UTC().Format(time.RFC1123)))
	}
	return sdk.From(err)
}

// take takes in what an event says.
func (c *customer) take(event stripeEvent, object stripeObject) {
	for _, id := range c.Events {
		if id == event.ID {
			return
		}
	}
	c.Events = append(c.Events, event.ID)
	c.Events = c.Events[max(0, len(c.Events)-keepLast):]
	if amount := object.paid(event.Type); amount > 0 {
		if c.Paid == nil {
			c.Paid = make(map[string]int64)
		}
		c.Paid[object.Currency] += amount
	}
	if event.Created < c.At {
		return // what is known is newer
	}
	c.At = event.Created
	c.Status = "active"
	if event.Type == "customer.subscription.deleted" {
		c.Status = "cancelled"
	}
	if object.Metadata.Plan != "" {
		c.Plan = short(object.Metadata.Plan)
	}
	if object.email() != "" {
		c.Email = short(object.email())
	}
}

// email is the customer's.
func (o stripeObject) email() string {
	if o.CustomerEmail != "" {
		return o.CustomerEmail
	}
	return o.CustomerDetails.Email
}

// paid is what was paid with the event. A session that has made an invoice is not counted: the invoice is.
func (o stripeObject) paid(kind string) int64 {
	switch {
	case kind == "invoice.paid":
		return o.AmountPaid
	case kind == "checkout.session.completed" && o.Invoice == "":
		return o.AmountTotal
	}
	return 0
}

// subject is what the operator is told; "": nothing.
func (o stripeObject) subject(kind string) string {
	who := o.email()
	if who == "" {
		who = o.Customer
	}
	if kind == "customer.subscription.deleted" {
		return "Cancelled: " + who
	}
	if amount := o.paid(kind); amount > 0 {
		return "Paid: " + money(amount, o.Currency) + " by " + who
	}
	return ""
}

// money is an amount in a currency's smallest unit as people write it (https://docs.stripe.com/currencies).
func money(amount int64, currency string) string {
	currency = strings.ToUpper(currency)
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF":
		return fmt.Sprintf("%d %s", amount, currency)
	case "BHD", "JOD", "KWD", "OMR", "TND":
		return fmt.Sprintf("%d.%03d %s", amount/1000, amount%1000, currency)
	}
	return fmt.Sprintf("%d.%02d %s", amount/100, amount%100, currency)
}
