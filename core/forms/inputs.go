package forms

import (
	"strconv"
	"strings"
)

// An input is one field as people fill it in.
type input struct {
	ID, Name, Label, Type string // Type is HTML's, or textarea or select
	Value, Reason         string
	Required, Checked     bool
	Least, Most           *int   // of a number; nil: no bound
	Accept, Autocomplete  string // "": any; not known
	Several               bool
	Options               []choice
}

// A choice is one option of a select.
type choice struct {
	Value  string
	Chosen bool
}

func inputID(n int) string { return "field-" + strconv.Itoa(n) }

// add shows a field as it was sent, with what is wrong with it.
func (p *page) add(r *rule, s *sent, reason string) {
	values := s.values(r.name)
	in := input{ID: inputID(len(p.Inputs)), Name: r.name, Label: r.label(), Type: r.Type, Required: r.Required, Reason: reason, Autocomplete: r.autocomplete()}
	if reason != "" {
		p.Wrong = append(p.Wrong, wrongInput{in.ID, in.Label, reason})
	}
	if len(values) > 0 && values[0].file == nil {
		in.Value = values[0].text
	}
	switch r.Type {
	case "checkbox":
		p.addCheckboxes(in, values)
		return
	case "select":
		for _, option := range r.Options {
			c := choice{Value: option}
			for _, v := range values {
				c.Chosen = c.Chosen || v.text == option
			}
			in.Options = append(in.Options, c)
		}
		in.Several = len(values) > 1
	case "file":
		p.Multipart = true
		in.Accept, in.Several, in.Value = strings.Join(r.Accept, ","), len(values) > 1, ""
	case "number":
		in.Least, in.Most = r.Min, r.Max
	case "text", "":
		in.Type = "text"
		if in.Autocomplete == "" && (r.Max != nil && *r.Max > 255 || strings.ContainsAny(in.Value, "\r\n")) {
			in.Type = "textarea"
		}
	}
	p.Inputs = append(p.Inputs, in)
}

// addCheckboxes shows each box that was checked; which others the page has is not known.
func (p *page) addCheckboxes(in input, values []*item) {
	label := in.Label
	for n, v := range values {
		if v.file != nil || v.text == "" {
			continue
		}
		if n > 0 {
			in.ID = inputID(len(p.Inputs))
		}
		in.Value, in.Checked, in.Required = v.text, true, false
		if len(values) > 1 {
			in.Label = label + ": " + v.text
		}
		p.Inputs = append(p.Inputs, in)
	}
	if !in.Checked {
		in.Value = "on"
		p.Inputs = append(p.Inputs, in)
	}
}

// autocomplete is what browsers know the field by (HTML, "Autofill"), as far as its type or name says (WCAG 2.2, 1.3.5).
func (r *rule) autocomplete() string {
	switch r.Type {
	case "email", "url", "tel":
		return r.Type
	case "text", "":
	default:
		return ""
	}
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(r.name)) {
	case "name", "fullname":
		return "name"
	case "firstname", "givenname":
		return "given-name"
	case "lastname", "familyname", "surname":
		return "family-name"
	case "company", "organization", "organisation":
		return "organization"
	case "street", "address", "streetaddress":
		return "street-address"
	case "zip", "postcode", "postalcode":
		return "postal-code"
	case "city", "town":
		return "address-level2"
	case "country":
		return "country-name"
	}
	return ""
}
