package migrate

import (
	"bytes"
	"context"
	"slices"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/lease"
)

// keptIn is the collection of content types, and keptID the id of its one document.
const (
	keptIn = "api-schema"
	keptID = "types"
)

func collection() store.Collection { return store.Collection{Name: keptIn} }

// kept is what is known of content types.
type kept struct {
	now      *schema.Set // in force; nil: there are none yet
	ever     *schema.Set // with all types, components and attributes that there ever were, each as it was last
	begun    *schema.Set // what rows are being changed for; nil: nothing
	revision int64       // 0: there is no document
}

// read returns what is kept.
func read(ctx context.Context, s store.Store) (kept, error) {
	doc, err := s.Get(ctx, keptIn, keptID)
	if fault.CodeOf(err) == fault.NotFound {
		return kept{}, nil
	}
	if err != nil {
		return kept{}, err
	}
	k := kept{revision: doc.Int("revision")}
	for field, set := range map[string]**schema.Set{"now": &k.now, "ever": &k.ever, "begun": &k.begun} {
		if text := doc.String(field); text != "" {
			if *set, err = schema.Decode([]byte(text)); err != nil {
				return kept{}, err
			}
		}
	}
	return k, nil
}

// begin keeps what rows are going to be changed for.
func begin(ctx context.Context, s store.Store, l *lease.Lease, was kept, to *schema.Set) error {
	next := was
	next.begun = to
	return write(ctx, s, l, next, 1)
}

// finish keeps that rows are as the new types want them.
func finish(ctx context.Context, s store.Store, l *lease.Lease, was kept, to *schema.Set) error {
	return write(ctx, s, l, kept{now: to, ever: united(was.ever, to), revision: was.revision}, 2)
}

func write(ctx context.Context, s store.Store, l *lease.Lease, k kept, more int64) error {
	doc := store.Document{"id": keptID, "revision": k.revision + more}
	for field, set := range map[string]*schema.Set{"now": k.now, "ever": k.ever, "begun": k.begun} {
		if set != nil {
			doc[field] = string(schema.Encode(set))
		}
	}
	_, err := s.Apply(ctx, l.Guard(), store.Put{Collection: keptIn, Document: doc})
	return err
}

// same reports whether two sets are.
func same(a, b *schema.Set) bool { return bytes.Equal(schema.Encode(a), schema.Encode(b)) }

// united is the new set with what was there before and is not in it.
func united(was, to *schema.Set) *schema.Set {
	if was == nil {
		return to
	}
	var types []*schema.Type
	for _, t := range to.Types() {
		one := *t
		if before := was.Type(t.Name); before != nil {
			one.Attributes = unitedAttributes(to, before.Attributes, t.Attributes)
		}
		types = append(types, &one)
	}
	for _, t := range was.Types() {
		if to.Type(t.Name) == nil {
			one := *t
			one.Attributes = unitedAttributes(to, t.Attributes, nil)
			types = append(types, &one)
		}
	}
	var components []*schema.Component
	for _, c := range to.Components() {
		one := *c
		if before := was.Component(c.UID); before != nil {
			one.Attributes = unitedAttributes(to, before.Attributes, c.Attributes)
		}
		components = append(components, &one)
	}
	for _, c := range was.Components() {
		if to.Component(c.UID) == nil {
			components = append(components, c)
		}
	}
	return schema.Unchecked(to.Locales(), types, components)
}

func unitedAttributes(to *schema.Set, before, now []*schema.Attribute) []*schema.Attribute {
	all := slices.Clone(now)
	for _, a := range before {
		if slices.ContainsFunc(now, func(b *schema.Attribute) bool { return b.Name == a.Name }) {
			continue
		}
		one := *a
		if a.Target != nil {
			if renamed := to.Type(a.Target.Name); renamed != nil { // its UID may be another now
				one.Target = renamed
			}
		}
		all = append(all, &one)
	}
	return all
}
