package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/onehost/edge/plugins/internal/proto"
)

// Delivery is one webhook that edge received, verified and kept.
type Delivery struct {
	ID       string // edge's own: the same in each attempt and redelivery
	Source   string // the source's name in edge's configuration, such as "github"
	EventID  string // what the source calls it: the same when the source sends it again
	Type     string // the kind of event, such as "push" or "invoice.paid"; "" when the provider has no way of saying it
	Received time.Time
	Method   string
	Path     string      // with the query
	Header   http.Header // as it came, without credentials and cookies; Header.Get finds a name however it is written
	Body     []byte      // byte by byte as it came
	Attempt  int         // 1 in the first
	Sync     bool        // whether the source waits for what sdk.Reply says
}

// JSON decodes the body, which has to be one JSON value, into v, a pointer as for json.Unmarshal. Fields that v has no place for are left out: providers
// add some without notice. Its error can't go away by trying again: return sdk.Fail(err.Error()).
func (d *Delivery) JSON(v any) error {
	decoder := json.NewDecoder(bytes.NewReader(d.Body))
	err := decoder.Decode(v)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the body of %s is empty, not JSON", ErrInvalid, d.ID)
	}
	if err != nil {
		return fmt.Errorf("%w: the body of %s is not the JSON that was looked for: %v", ErrInvalid, d.ID, err) //nolint:errorlint // it says what is wrong; which error of encoding/json it was helps nobody
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the body of %s has something after its JSON, at byte %d", ErrInvalid, d.ID, decoder.InputOffset())
	}
	return nil
}

// Run is one execution of a job.
type Run struct {
	ID      string // the same in each attempt for one due time: a good key for Once
	Job     string
	Due     time.Time
	Attempt int // 1 in the first
}

// delivery is what came over the wire, as a handler sees it.
func delivery(in *proto.Delivery) *Delivery {
	d := &Delivery{
		ID: in.GetId(), Source: in.GetSource(), EventID: in.GetEventId(), Type: in.GetType(), Received: in.GetReceived().AsTime(),
		Method: in.GetMethod(), Path: in.GetPath(), Header: make(http.Header, len(in.GetHeader())), Body: in.GetBody(),
		Attempt: int(in.GetAttempt()), Sync: in.GetSync(),
	}
	for _, field := range in.GetHeader() {
		d.Header.Add(field.GetName(), field.GetValue())
	}
	return d
}
