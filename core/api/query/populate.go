package query

import (
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/api/qs"
	"github.com/onehost/edge/core/api/schema"
)

// populate reads "*", "a,b.c", a list of names, or an object with what is asked of each. Level counts from 1.
func (r *reader) populate(n *qs.Node, in scope, w way, level int) ([]Populate, error) {
	var all []Populate
	switch {
	case n == nil || n.Kind == qs.Null:
		return nil, nil
	case level > maxPopulate:
		return nil, problem.Validation("The populate parameter goes deeper than %d levels", maxPopulate)
	case n.Kind == qs.Text && n.Text == "*":
		return r.everything(in)
	case n.Kind == qs.Text:
		err := r.names(&all, n.Text, in, level)
		return all, err
	case n.Kind == qs.Object:
		return r.each(n, in, w, level)
	}
	for _, item := range n.Items {
		if item.Kind != qs.Text {
			return nil, problem.Validation("Invalid populate parameter. Expected a string, an array of strings, a populate object")
		}
		if err := r.names(&all, item.Text, in, level); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// count bounds what is filled in.
func (r *reader) count() error {
	if r.populates++; r.populates > maxPopulates {
		return problem.Validation("The populate parameter names more than %d attributes", maxPopulates)
	}
	return nil
}

// everything is all that can be filled in here and that the caller may see, one level of it.
func (r *reader) everything(in scope) ([]Populate, error) {
	var all []Populate
	for _, a := range in.attributes() {
		if !a.Scalar() && r.visible(a) && r.reads(a) {
			all = append(all, Populate{Attribute: a})
		}
	}
	return all, r.count()
}

// names fills in attributes that are named by their ways: author, author.role.
func (r *reader) names(all *[]Populate, text string, in scope, level int) error {
	for name := range strings.SplitSeq(text, ",") {
		steps := strings.FieldsFunc(name, func(c rune) bool { return c == '.' })
		for i := range steps {
			steps[i] = strings.TrimSpace(steps[i])
		}
		steps = slices.DeleteFunc(steps, func(step string) bool { return step == "" })
		if len(steps) == 0 {
			continue
		}
		if err := r.named(all, steps, in, "", level); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) named(all *[]Populate, steps []string, in scope, path string, level int) error {
	if level > maxPopulate {
		return problem.Validation("The populate parameter goes deeper than %d levels", maxPopulate)
	}
	key, further := steps[0], steps[1:]
	path = join(path, key)
	a := in.attribute(key)
	if a == nil || a.Scalar() || !r.visible(a) || a.Kind == schema.Media && len(further) > 0 {
		return invalidKey("populate", key, path)
	}
	if !r.reads(a) {
		return nil
	}
	p, err := r.entry(all, a)
	if err != nil || len(further) == 0 {
		return err
	}
	if a.Kind == schema.Zone {
		return r.inZone(p, further, path, level)
	}
	return r.named(&p.Query.Populate, further, below(a), path, level+1)
}

// entry finds what is filled in for an attribute, and makes it when it is new.
func (r *reader) entry(all *[]Populate, a *schema.Attribute) (*Populate, error) {
	i := slices.IndexFunc(*all, func(p Populate) bool { return p.Attribute == a })
	if i < 0 {
		if err := r.count(); err != nil {
			return nil, err
		}
		i, *all = len(*all), append(*all, Populate{Attribute: a})
	}
	return &(*all)[i], nil
}

// inZone goes on in those components of a dynamic zone that have the next name.
func (r *reader) inZone(p *Populate, steps []string, path string, level int) error {
	if p.On == nil {
		p.On = map[*schema.Component]*Query{}
		for _, c := range p.Attribute.Zone {
			p.On[c] = &Query{}
		}
	}
	var wrong error = invalidKey("populate", steps[0], join(path, steps[0]))
	found := false
	for _, c := range p.Attribute.Zone {
		if a := c.Attribute(steps[0]); a == nil || a.Scalar() {
			continue
		}
		if err := r.named(&p.On[c].Populate, steps, scope{c: c}, path, level+1); err != nil {
			wrong = err
			continue
		}
		found = true
	}
	if found {
		return nil
	}
	return wrong
}

// each reads {ATTRIBUTE: true} and {ATTRIBUTE: {fields, filters, sort, populate, count, on}}.
func (r *reader) each(n *qs.Node, in scope, w way, level int) ([]Populate, error) {
	var all []Populate
	for i, key := range n.Names {
		a := in.attribute(key)
		at := w.to(key)
		switch {
		case a == nil && truthy(key):
			continue
		case a == nil:
			return nil, invalidKey("populate", key, w.path)
		case a.Scalar():
			return nil, invalidKey("populate", key, at.raw)
		case !r.visible(a):
			return nil, invalidKey("populate", key, at.path)
		}
		p, wanted, err := r.nested(n.Items[i], a, in, at, level)
		if err != nil {
			return nil, err
		}
		if !wanted || !r.reads(a) {
			continue
		}
		if err := r.count(); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// truthy reports whether a name is one that Strapi takes for a boolean, and leaves out.
func truthy(name string) bool {
	_, ok := boolean(&qs.Node{Kind: qs.Text, Text: name})
	return ok
}

// nested reads what is asked of one attribute. It is not wanted when that is false.
func (r *reader) nested(n *qs.Node, a *schema.Attribute, of scope, w way, level int) (p Populate, wanted bool, err error) {
	p = Populate{Attribute: a}
	switch {
	case n.Kind == qs.Text:
		b, ok := boolean(n)
		if !ok && n.Text != "" && n.Text != "*" {
			return p, false, r.misnamed(n.Text, a, w)
		}
		return p, n.Text == "*" || b, nil
	case n.Kind != qs.Object:
		return p, false, problem.Validation("Invalid nested populate. Expected '*' or an object")
	case a.Kind == schema.Zone:
		return r.zone(n, a, w, level)
	}
	in := below(a)
	for i, key := range n.Names {
		value := n.Items[i]
		switch key {
		case "filters":
			p.Query.Filter, err = r.filters(value, in)
		case "sort":
			p.Query.Sort, err = r.sort(value, in)
		case "fields":
			p.Query.Fields, err = r.fields(value, in)
		case "populate":
			down := way{path: w.path, raw: join(w.raw, "populate")}
			p.Query.Populate, err = r.populate(value, in, down, level+1)
		case "count":
			p.Count, err = r.countOnly(value, w)
		case "on":
			err = problem.Validation("Using fragments is not permitted to populate %q in %q", a.Name, of.uid())
		default:
			if !truthy(key) {
				err = r.misnamed(key, a, w)
			}
		}
		if err != nil {
			return p, false, err
		}
	}
	return p, true, nil
}

// misnamed is a name that stands where only keywords do.
func (r *reader) misnamed(key string, a *schema.Attribute, w way) error {
	if a.Kind != schema.Zone && below(a).attribute(key) != nil {
		return invalidKey("populate", key, join(w.path, key))
	}
	return invalidKey("populate", key, w.path)
}

func (r *reader) countOnly(n *qs.Node, w way) (bool, error) {
	b, ok := boolean(n)
	if !ok {
		return false, invalidKey("populate", "count", w.path)
	}
	return b, nil
}

// zone reads what is asked of a dynamic zone: on, with what is asked of each component, or populate: "*".
func (r *reader) zone(n *qs.Node, a *schema.Attribute, w way, level int) (p Populate, wanted bool, err error) {
	p = Populate{Attribute: a}
	for i, key := range n.Names {
		value := n.Items[i]
		switch {
		case key == "populate" && value.Kind == qs.Text && value.Text == "*":
			err = r.zoneEverything(&p)
		case key == "populate" && value.Kind != qs.Null:
			err = invalidKey("populate", key, w.raw)
		case key == "populate":
		case key == "count":
			p.Count, err = r.countOnly(value, w)
		case key == "on":
			err = r.on(&p, value, w, level)
		default:
			err = invalidValue("populate", join(w.path, key), "Invalid nested populate for %s. Expected a fragment (%q) or %q but found %s", a.Name, "on", "count", shown(key))
		}
		if err != nil {
			return p, false, err
		}
	}
	return p, true, nil
}

func (r *reader) zoneEverything(p *Populate) error {
	on := map[*schema.Component]*Query{}
	for _, c := range p.Attribute.Zone {
		all, err := r.everything(scope{c: c})
		if err != nil {
			return err
		}
		on[c] = &Query{Populate: all}
	}
	if p.On == nil {
		p.On = on
	}
	return nil
}

// on reads what is asked of each component of a dynamic zone. Those that are not named are left out.
func (r *reader) on(p *Populate, n *qs.Node, w way, level int) error {
	if n.Kind != qs.Object {
		return invalidKey("populate", "on", join(w.raw, "on"))
	}
	named := map[*schema.Component]*Query{}
	for i, uid := range n.Names {
		c := r.Set.Component(uid)
		if c == nil {
			return invalidKey("populate", uid, join(join(w.raw, "on"), uid))
		}
		part := &schema.Attribute{Name: uid, Kind: schema.Part, Component: c}
		q, wanted, err := r.nested(n.Items[i], part, scope{c: c}, way{path: w.path, raw: join(w.raw, "on") + "[" + uid + "]"}, level+1)
		if err != nil {
			return err
		}
		if wanted && slices.Contains(p.Attribute.Zone, c) {
			named[c] = &q.Query
		}
	}
	p.On = named
	return r.count()
}
