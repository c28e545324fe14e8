package inbox

import (
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

const collection = "deliveries"

// headStart is how long before they came new deliveries are due: so they come before those that have failed since, and a host whose clock is ahead by less delays none.
const headStart = time.Hour

// Collection describes where deliveries are kept, for [store.Store.Ensure]. Beside what a [Delivery] has, a document has:
//
//   - next: of what is pending, when it is due; none: it waits in its line. Of what is done or kept, when all but its event id is removed; none: it goes as a whole;
//   - claimed: since when it is held; next is then until when it may be;
//   - turn: how often it was taken or handled again by a person's wish;
//   - line: its source and key, as long as it is pending; place: where it stands in the line, a text; while it is held that is "0", before all others;
//   - expires: when it is removed.
//
// Its state may be forgotten as well: then only the event id and the times are left.
func Collection() store.Collection {
	return store.Collection{
		Name: collection,
		Indexes: []store.Index{
			{Fields: []string{"source", "event"}, Unique: true},
			{Fields: []string{"source", "state", "next"}},
			{Fields: []string{"source", "state", "at"}},
			{Fields: []string{"line", "place"}},
		},
		Expire: "expires",
	}
}

// encode makes the document of a delivery that was not kept before.
func encode(d Delivery) store.Document {
	doc := store.Document{
		"id": d.ID, "source": d.Source, "event": d.EventID, "at": d.At, "state": string(d.State), "turn": int64(0), "body": d.Body,
	}
	for name, text := range map[string]string{
		"type": d.Type, "key": d.Key, "plugin": d.Plugin, "method": d.Method, "path": d.Path, "client": d.Client, "request": d.RequestID,
	} {
		if text != "" {
			doc[name] = valid(text)
		}
	}
	if header := encodeHeader(d.Header); header != nil {
		doc["header"] = header
	}
	if d.Sync {
		doc["sync"] = true
	}
	return doc
}

// decode reads a document. What is not there, or is something else, is left out.
func decode(doc store.Document) Delivery {
	d := Delivery{
		ID: doc.ID(), Source: doc.String("source"), EventID: doc.String("event"), Type: doc.String("type"), Key: doc.String("key"), Plugin: doc.String("plugin"),
		At: doc.Time("at"), State: State(doc.String("state")), Method: doc.String("method"), Path: doc.String("path"), Header: decodeHeader(doc["header"]), Body: doc.Bytes("body"),
		Client: doc.String("client"), RequestID: doc.String("request"), Sync: doc.Bool("sync"),
		Tries: int(doc.Int("tries")), Deaths: int(doc.Int("deaths")), Replays: int(doc.Int("replays")),
		Next: doc.Time("next"), Ended: doc.Time("ended"), Error: doc.String("error"),
	}
	switch {
	case d.State != Pending:
		d.Next = time.Time{}
	case !d.Next.IsZero() && d.Next.Before(d.At):
		d.Next = d.At
	}
	for _, v := range doc.List("attempts") {
		if a, ok := v.(store.Document); ok {
			d.Attempts = append(d.Attempts, Attempt{
				N: int(a.Int("n")), At: a.Time("at"), Took: time.Duration(a.Int("took")), Outcome: a.String("outcome"), Reason: a.String("reason"),
			})
		}
	}
	return d
}

// encodeAttempts makes a list of the last attempts.
func encodeAttempts(all []Attempt) []any {
	const most = 20
	all = all[max(0, len(all)-most):]
	list := make([]any, len(all))
	for i, a := range all {
		list[i] = store.Document{"n": int64(a.N), "at": a.At, "took": int64(a.Took), "outcome": valid(a.Outcome), "reason": short(a.Reason)}
	}
	return list
}

// lineOf names a line; "" is none.
func lineOf(source, key string) string {
	if key == "" {
		return ""
	}
	return source + "\x00" + key
}

// front is the place of the one in a line that is held.
const front = "0"

// place is where a delivery stands in its line when it is not held: by when it came.
func place(at time.Time, id string) string {
	return at.UTC().Format("2006-01-02T15:04:05.000 ") + id
}

// mine holds for a delivery as long as nobody has taken it since its turn.
func mine(id string, turn int64) store.And {
	return store.And{store.ID(id), store.Eq("turn", turn), store.Eq("state", string(Pending))}
}

// due holds for what of a source is to be handled now: what was held by others too, when their time is over.
func due(source string) store.Query {
	return store.Query{
		Collection: collection,
		Filter:     store.And{store.Eq("source", source), store.Eq("state", string(Pending)), store.Lte("next", store.Now(0))},
		Sort:       []store.Order{{Field: "next"}},
		Limit:      1,
	}
}

// in holds for what of a source is in a state.
func in(source string, state State) store.And {
	return store.And{store.Eq("source", source), store.Eq("state", string(state))}
}

// valid makes text of what may be none.
func valid(text string) string {
	return strings.TrimLeft(strings.ToValidUTF8(text, "\uFFFD"), "\U0010FFFF")
}

// short bounds what handlers say.
func short(text string) string {
	const most = 1000 // bytes
	if len(text) > most {
		text = text[:most] + "…"
	}
	return valid(text)
}
