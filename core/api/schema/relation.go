package schema

import (
	"slices"
	"strings"
)

// inverse is what a relation is, seen from its other side.
var inverse = map[Relation]Relation{OneToOne: OneToOne, OneToMany: ManyToOne, ManyToOne: OneToMany, ManyToMany: ManyToMany}

// relations finds sides of relations that do not agree.
func (b *builder) relations(s *Set) {
	for _, t := range s.types {
		for _, a := range t.Attributes {
			if a.Kind == RelationTo {
				b.relation(t, a)
			}
		}
	}
	for _, c := range s.components {
		for _, a := range c.Attributes {
			switch {
			case a.Kind == RelationTo && (a.MappedBy != "" || a.InversedBy != ""):
				b.fail(a, "a relation of a component has no other side; leave out mappedBy and inversedBy")
			case a.Kind == RelationTo && inverse[a.Relation] == "":
				b.noRelation(a)
			}
		}
	}
}

func (b *builder) relation(t *Type, a *Attribute) {
	switch {
	case inverse[a.Relation] == "":
		b.noRelation(a)
	case a.MappedBy != "" && a.InversedBy != "":
		b.fail(a, "a side of a relation has mappedBy or inversedBy, and not both")
	case a.Relation == ManyToOne && a.MappedBy != "":
		b.fail(a, "the side of many owns a relation: write inversedBy here, and mappedBy at %s of the other type", clip(a.MappedBy))
	case a.Relation == OneToMany && a.InversedBy != "":
		b.fail(a, "the side of one does not own a relation: write mappedBy here, and inversedBy at %s of the other type", clip(a.InversedBy))
	case a.Target == nil:
	case a.MappedBy != "":
		b.side(t, a, "mappedBy", a.MappedBy)
	case a.InversedBy != "":
		b.side(t, a, "inversedBy", a.InversedBy)
	}
}

func (b *builder) noRelation(a *Attribute) {
	b.fail(a, "relation is oneToOne, oneToMany, manyToOne or manyToMany, and not %q", clip(string(a.Relation)))
}

// side finds what is wrong with the attribute that a names as its other side.
func (b *builder) side(t *Type, a *Attribute, key, name string) {
	other := a.Target.Attribute(name)
	if other == nil {
		b.fail(a, "%s: %s has no attribute %q%s", key, a.Target.Name, clip(name), meant(name, attributeNames(a.Target.Attributes)))
		return
	}
	where := a.Target.Name + "." + other.Name
	switch {
	case other == a:
		b.fail(a, "%s: a relation is not its own other side", key)
	case other.Kind != RelationTo || other.Target != t:
		b.fail(a, "%s: %s is no relation to %s", key, where, t.Name)
	case other.Relation != inverse[a.Relation]:
		b.fail(a, "%s: %s is %s, and the other side of %s is %s", key, where, other.Relation, a.Relation, inverse[a.Relation])
	case key == "inversedBy" && other.MappedBy != a.Name:
		b.fail(a, `inversedBy: %s does not lead back; write "mappedBy": "%s" there`, where, a.Name)
	case key == "mappedBy" && other.InversedBy != a.Name:
		b.fail(a, `mappedBy: %s does not lead back; write "inversedBy": "%s" there`, where, a.Name)
	}
}

// nesting refuses components that are part of themselves, and those that are parts of parts without measure.
func (b *builder) nesting(s *Set) {
	depth := map[*Component]int{} // of what is below; -1 while it is looked at
	var visit func(c *Component, way []string) int
	visit = func(c *Component, way []string) int {
		if d, seen := depth[c]; seen && d >= 0 {
			return d
		}
		way = append(way, c.UID)
		depth[c] = -1
		deepest := 0
		for _, a := range c.Attributes {
			for _, part := range slices.Concat([]*Component{a.Component}, a.Zone) {
				switch {
				case part == nil:
				case slices.Contains(way, part.UID):
					b.fail(a, "a component is not part of itself: %s", strings.Join(append(slices.Clone(way), part.UID), " → "))
				case len(way) > maxComponents:
				default:
					deepest = max(deepest, 1+visit(part, way))
				}
			}
		}
		depth[c] = deepest
		if deepest == maxComponents {
			b.fail(c, "components are parts of each other more than %d deep", maxComponents)
		}
		return deepest
	}
	for _, c := range s.components {
		visit(c, nil)
	}
}
