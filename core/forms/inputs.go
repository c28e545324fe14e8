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
	Least, Most           int    // of a number; 0: no bound
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
		if in.Autocomplete == "" && (r.Max > 255 || strings.ContainsAny(in.Value, "\r\n")) {
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

// pageStyle is small and needs nothing from elsewhere. Text has a contrast of at least 7:1, borders and what is in focus at least 3:1.
const pageStyle = `:root{color-scheme:light dark;--back:#fff;--text:#1c1f23;--quiet:#4a5058;--edge:#6b737c;--wrong:#a01222;--button:#174ea6;--ink:#fff}` +
	`@media(prefers-color-scheme:dark){:root{--back:#16181b;--text:#f0f2f4;--quiet:#b9c0c8;--edge:#8b949e;--wrong:#ffb3ba;--button:#a8c7fa;--ink:#0b1220}}` +
	`body{margin:0;background:var(--back);color:var(--text);font:1rem/1.6 system-ui,sans-serif}` +
	`main{box-sizing:border-box;max-width:36rem;margin:auto;padding:2rem 1.5rem}` +
	`h1{margin:0 0 1rem;font-size:1.75rem;line-height:1.2}h2{margin:0;font-size:1.125rem}p{margin:0 0 1rem}` +
	`.field{margin:0 0 1.25rem}label{display:block;font-weight:600}.box label{display:inline;font-weight:400}.quiet{color:var(--quiet);font-size:.875rem;font-weight:400}` +
	`input,select,textarea{box-sizing:border-box;width:100%;min-height:2.75rem;padding:.5rem;border:1px solid var(--edge);border-radius:.25rem;background:var(--back);color:var(--text);font:inherit}` +
	`input[type=checkbox]{width:1.5rem;min-height:1.5rem;height:1.5rem;margin:0 .5rem 0 0;vertical-align:middle}textarea{min-height:9rem}` +
	`[aria-invalid=true]{border:2px solid var(--wrong)}.reason{margin:.25rem 0 0;color:var(--wrong)}` +
	`.summary{margin:0 0 1.5rem;padding:1rem;border:2px solid var(--wrong)}.summary ul{margin:.5rem 0 0;padding-left:1.25rem}.summary a{color:var(--wrong)}` +
	`button{min-height:2.75rem;padding:.5rem 1.5rem;border:2px solid var(--button);border-radius:.25rem;background:var(--button);color:var(--ink);font:inherit;font-weight:600;cursor:pointer}` +
	`:focus-visible{outline:3px solid var(--text);outline-offset:2px}code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}`

const pageText = `{{define "head"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{if .Wrong}}Error: {{end}}{{.Title}}</title>
<style>STYLE</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{end}}
{{define "foot"}}</main>
</body>
</html>
{{end}}
{{define "hidden"}}{{range .Hidden}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">
{{end}}{{end}}
{{define "about"}} name="{{.Name}}" id="{{.ID}}"{{if .Required}} required{{end}}{{if .Reason}} aria-invalid="true" aria-describedby="{{.ID}}-reason"{{end}}{{end}}
{{define "label"}}<label for="{{.ID}}">{{.Label}}{{if .Required}} <span class="quiet">(required)</span>{{end}}</label>{{end}}
{{define "input"}}<div class="field{{if eq .Type "checkbox"}} box{{end}}">
{{if eq .Type "checkbox"}}<input type="checkbox" value="{{.Value}}"{{if .Checked}} checked{{end}}{{template "about" .}}>{{template "label" .}}
{{else}}{{template "label" .}}
{{if eq .Type "textarea"}}<textarea{{template "about" .}}>
{{.Value}}</textarea>
{{else if eq .Type "select"}}<select{{if .Several}} multiple{{end}}{{template "about" .}}>
{{if not .Several}}<option value="">Choose one</option>
{{end}}{{range .Options}}<option value="{{.Value}}"{{if .Chosen}} selected{{end}}>{{.Value}}</option>
{{end}}</select>
{{else}}<input type="{{.Type}}"{{if ne .Type "file"}} value="{{.Value}}"{{end}}{{if eq .Type "number"}} step="any"{{end}}{{if .Least}} min="{{.Least}}"{{end}}{{if .Most}} max="{{.Most}}"{{end}}{{if .Accept}} accept="{{.Accept}}"{{end}}{{if .Several}} multiple{{end}}{{if .Autocomplete}} autocomplete="{{.Autocomplete}}"{{end}}{{template "about" .}}>
{{end}}{{end}}{{if .Reason}}<p class="reason" id="{{.ID}}-reason">{{.Reason}}</p>
{{end}}</div>
{{end}}
{{define "thanks"}}{{template "head" .}}<p>What you sent has arrived.</p>
{{template "foot" .}}{{end}}
{{define "error"}}{{template "head" .}}<p>{{.Detail}}</p>
{{if .RequestID}}<p class="quiet">Request <code>{{.RequestID}}</code></p>
{{end}}{{template "foot" .}}{{end}}
{{define "button"}}{{template "head" .}}{{if .Again}}<p role="alert">That was very quick. Please wait a few seconds, and press the button again.</p>
{{else}}<p>Press the button to send what you have filled in. This keeps programs from sending the form.</p>
{{end}}<form method="post"{{if .Multipart}} enctype="multipart/form-data"{{end}}>
{{template "hidden" .}}{{if .Inputs}}<p>Files can’t be carried along. Please choose them once more, or go back.</p>
{{range .Inputs}}{{template "input" .}}{{end}}{{end}}<button type="submit">Send</button>
</form>
{{template "foot" .}}{{end}}
{{define "form"}}{{template "head" .}}<div class="summary" role="alert">
<h2>This needs your attention</h2>
<ul>
{{range .Wrong}}<li><a href="#{{.ID}}">{{.Label}}: {{.Reason}}</a></li>
{{end}}</ul>
</div>
<form method="post"{{if .Multipart}} enctype="multipart/form-data"{{end}}>
{{template "hidden" .}}{{range .Inputs}}{{template "input" .}}{{end}}<button type="submit">Send</button>
</form>
{{template "foot" .}}{{end}}
`
