// Package strapi takes over what a Strapi 5 has: its content types, entries with their drafts and languages, accounts with their passwords, permissions
// and files, out of its SQLite database and its project folder, into a store.
//
// The two halves may be different processes: a [Source] reads, on the side of who has the project, and an [Importer] writes, where the store is. Between them go
// [Record]s, whose JSON is one line each. Taking over again what was taken over before changes nothing, and brings what is new.
//
// In comes how Strapi lays its data out. How ours lies in a store, the room rows knows; what a content type can be, schema.
//
// The tables are those that Strapi 5 makes (https://docs.strapi.io): one for each type, with a row for each version and language of an entry; joined tables *_lnk
// for relations, *_cmps for components and files_related_mph for media, each with the order that its editors see.
package strapi

import "time"

// Limits of what is read.
const (
	MaxRecord = 16 << 20 // bytes of a record's line: no document of a store has more
	maxSchema = 1 << 20  // bytes of a schema file
	maxFiles  = 10_000   // schema files below a project's src
	maxDepth  = 16       // levels of components in components
)

// A Record is one version of one entry, as it goes from a [Source] to an [Importer].
type Record struct {
	Type      string         `json:"type"`       // UID of its content type
	Document  string         `json:"documentId"` // of the entry
	Number    int64          `json:"id"`         // of this version
	Status    string         `json:"status,omitempty"`
	Locale    string         `json:"locale,omitempty"`
	Created   time.Time      `json:"createdAt"`
	Updated   time.Time      `json:"updatedAt"`
	Published time.Time      `json:"publishedAt,omitzero"`
	Values    map[string]any `json:"values"`             // by attribute, as JSON: references are documentIds, in their order; numbers are int64, float64 or json.Number
	Password  string         `json:"password,omitempty"` // of a user: its bcrypt hash
}

// Outcome is what has become of a record.
type Outcome string

// Outcomes.
const (
	Created Outcome = "created"
	Changed Outcome = "changed"
	Same    Outcome = "same"
	Kept    Outcome = "kept"    // it has been changed here since: that stays
	Refused Outcome = "refused" // it can't be taken over as it is
)

// A Result is what has become of one record.
type Result struct {
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"` // it was refused; for people
}

// Problem is something that is not taken over, or not as it was.
type Problem struct {
	What string `json:"what"` // webhooks
	Why  string `json:"why"`  // for people: and what to do instead
}

func (p Problem) String() string { return p.What + ": " + p.Why }
