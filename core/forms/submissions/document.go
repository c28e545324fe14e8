package submissions

import (
	"strings"
	"time"

	"github.com/onehost/edge/core/store"
)

const collection = "submissions"

// Collection describes where submissions are kept, for [store.Store.Ensure]. Beside what a [Submission] has, a document has:
//
//   - claimed: since when it is being delivered; next is then until when it may be;
//   - turn: how often it was claimed or judged by a person;
//   - tries and since: how many delays of the schedule are behind it, and when its first attempt began;
//   - expires: when it is removed.
func Collection() store.Collection {
	return store.Collection{
		Name: collection,
		Indexes: []store.Index{
			{Fields: []string{"form", "key"}, Unique: true},
			{Fields: []string{"form", "state", "next"}},
			{Fields: []string{"form", "state", "id"}},
		},
		Expire:  "expires",
		Private: true,
	}
}

// encode makes the document of a submission that was not kept before.
func encode(sub Submission) store.Document {
	d := store.Document{
		"id": sub.ID, "form": sub.Form, "at": sub.At, "state": string(sub.State), "turn": int64(0), "attempts": int64(sub.Attempts), "event": sub.Event,
	}
	for name, text := range map[string]string{
		"function": sub.Function, "client": sub.Client, "page": sub.Page, "request": sub.RequestID, "key": sub.Key, "digest": sub.Digest, "error": sub.Error,
	} {
		if text != "" {
			d[name] = text
		}
	}
	if !sub.Next.IsZero() {
		d["next"] = sub.Next.Add(-headStart)
	}
	if !sub.Ended.IsZero() {
		d["ended"] = sub.Ended
	}
	encodeLists(d, sub)
	return d
}

func encodeLists(d store.Document, sub Submission) {
	if len(sub.Reasons) > 0 {
		list := make([]any, len(sub.Reasons))
		for i, reason := range sub.Reasons {
			list[i] = reason
		}
		d["reasons"] = list
	}
	if len(sub.Fields) > 0 {
		list := make([]any, len(sub.Fields))
		for i, f := range sub.Fields {
			list[i] = store.Document{"name": f.Name, "value": f.Value}
		}
		d["fields"] = list
	}
	if len(sub.Files) > 0 {
		list := make([]any, len(sub.Files))
		for i, f := range sub.Files {
			list[i] = store.Document{"field": f.Field, "name": f.Name, "type": f.Type, "size": f.Size}
		}
		d["files"] = list
	}
}

// decode reads a document. What is not there, or is something else, is left out.
func decode(d store.Document) Submission {
	sub := Submission{
		ID: d.ID(), Form: d.String("form"), Function: d.String("function"), At: d.Time("at"), State: State(d.String("state")),
		Client: d.String("client"), Page: d.String("page"), RequestID: d.String("request"), Key: d.String("key"), Digest: d.String("digest"),
		Event: d.Bytes("event"), Attempts: int(d.Int("attempts")), Next: d.Time("next"), Ended: d.Time("ended"), Error: d.String("error"),
	}
	if !sub.Next.IsZero() && sub.Next.Before(sub.At) {
		sub.Next = sub.At
	}
	for _, v := range d.List("reasons") {
		if reason, ok := v.(string); ok {
			sub.Reasons = append(sub.Reasons, reason)
		}
	}
	for _, v := range d.List("fields") {
		if f, ok := v.(store.Document); ok {
			sub.Fields = append(sub.Fields, Field{f.String("name"), f.String("value")})
		}
	}
	for _, v := range d.List("files") {
		if f, ok := v.(store.Document); ok {
			sub.Files = append(sub.Files, File{f.String("field"), f.String("name"), f.String("type"), f.Int("size")})
		}
	}
	return sub
}

// mine holds for a submission as long as nobody has claimed or judged it since its turn.
func mine(id string, turn int64) store.And {
	return store.And{store.ID(id), store.Eq("turn", turn)}
}

// due holds for what of a form is to be delivered now: what was claimed by others too, when their time is over.
func due(form string) store.Query {
	return store.Query{
		Collection: collection,
		Filter:     store.And{store.Eq("form", form), store.Eq("state", string(Pending)), store.Lte("next", store.Now(0))},
		Sort:       []store.Order{{Field: "next"}},
		Limit:      1,
	}
}

// claimed is what claiming makes of a submission.
func claimed(function string, within time.Duration) store.Change {
	return store.Change{
		Set: store.Document{"claimed": store.Now(0), "next": store.Now(within), "function": function},
		Add: map[string]int64{"attempts": 1, "turn": 1},
	}
}

// ended is what becomes of a submission that is done, dead or spam.
func ended(state State, kept time.Duration) store.Change {
	return store.Change{
		Set:   store.Document{"state": string(state), "ended": store.Now(0), "expires": store.Now(kept)},
		Unset: []string{"next", "claimed", "since", "tries"},
	}
}

// short makes text that can be kept of what functions say.
func short(text string) string {
	const most = 1000 // bytes
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.TrimLeft(strings.ToValidUTF8(text, "�"), "\U0010FFFF")
}
