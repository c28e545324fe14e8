package forms

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// parsed calls each for all elements of a page.
func parsed(t testing.TB, text string, each func(n *html.Node, attr map[string]string)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			attr := make(map[string]string)
			for _, a := range n.Attr {
				attr[a.Key] = a.Val
			}
			each(n, attr)
		}
	}
}

// hiddenOf are the hidden inputs of a page.
func hiddenOf(text string) url.Values {
	found := make(url.Values)
	z, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return found
	}
	for n := range z.Descendants() {
		if n.Data == "input" {
			attr := make(map[string]string)
			for _, a := range n.Attr {
				attr[a.Key] = a.Val
			}
			if attr["type"] == "hidden" {
				found.Add(attr["name"], attr["value"])
			}
		}
	}
	return found
}

const allFields = `
  contact:
    token: {min_fill: 0s}
    fields:
      email: {type: email, required: true, label: E-mail address}
      name: {required: true}
      message: {required: true}
      site: {type: url}
      phone: {type: tel}
      age: {type: number, min: 18, max: 120}
      day: {type: date}
      terms: {type: checkbox, required: true}
      plan: {type: select, options: [free, "<pro>"]}
      photo: {type: file, accept: [image/png]}
    ` + plenty

func TestTheFormComesBackAsItWasSentWithWhatIsWrong(t *testing.T) {
	h := serve(t, allFields)
	sent := url.Values{"_token": {h.token(t, "contact")}, "email": {"nobody"}, "message": {"a\r\nb"}, "plan": {"<pro>"}, "age": {"17"}, "other": {"x"}}
	got := h.send(t, "POST", "/forms/contact", sent.Encode(), asURL, wantsHTML)
	if got.StatusCode != 422 {
		t.Fatal(got.StatusCode, got.text)
	}
	ids, labels, links, controls := map[string]bool{}, map[string]bool{}, 0, map[string]map[string]string{}
	parsed(t, got.text, func(n *html.Node, attr map[string]string) {
		if id := attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("id %s is there twice", id)
			}
			ids[id] = true
		}
		switch {
		case n.Data == "label":
			labels[attr["for"]] = true
		case n.Data == "input" && attr["type"] != "hidden" || n.Data == "textarea" || n.Data == "select":
			attr["element"] = n.Data
			controls[attr["name"]] = attr
		case n.Data == "script":
			t.Error("a script")
		}
	})
	parsed(t, got.text, func(n *html.Node, attr map[string]string) {
		if target, ok := strings.CutPrefix(attr["href"], "#"); ok {
			if links++; !ids[target] {
				t.Errorf("the summary leads to %s, which is not there", target)
			}
		}
	})
	for name, c := range controls {
		wrong := name == "email" || name == "name" || name == "age" || name == "terms"
		if (c["aria-invalid"] == "true") != wrong || wrong && !ids[c["aria-describedby"]] || !labels[c["id"]] {
			t.Errorf("%s: %v", name, c)
		}
	}
	if links != 4 || len(controls) != 10 || controls["email"]["value"] != "nobody" || controls["email"]["autocomplete"] != "email" || controls["email"]["type"] != "email" ||
		controls["message"]["element"] != "textarea" || controls["name"]["autocomplete"] != "name" || controls["photo"]["accept"] != "image/png" || !strings.Contains(got.text, ">E-mail address ") {
		t.Errorf("%d links, %v", links, controls)
	}
	if hidden := hiddenOf(got.text); hidden.Get("_token") != sent.Get("_token") || hidden.Get("other") != "x" {
		t.Error(hidden)
	}
	if !strings.Contains(got.text, "<title>Error: ") || !strings.Contains(got.text, `enctype="multipart/form-data"`) || !strings.Contains(got.text, "&lt;pro&gt;\" selected") {
		t.Error(got.text)
	}
}

func TestEveryPageIsAloneAndSafe(t *testing.T) {
	h := serve(t, allFields+`
  away: {redirect: "https://b.test/thanks", `+plenty+`}
  few: {limits: {rate: 1/h, burst: 1}}`)
	h.send(t, "POST", "/forms/few", "a=1", asURL)
	for what, got := range map[string]answer{
		"thanks":   h.send(t, "GET", "/forms/contact/thanks", ""),
		"mistakes": h.send(t, "POST", "/forms/contact", "_token="+h.token(t, "contact"), asURL, wantsHTML),
		"button":   h.send(t, "POST", "/forms/contact", "a=1", asURL, wantsHTML),
		"error":    h.send(t, "GET", "/forms/away", "", wantsHTML),
		"limited":  h.send(t, "POST", "/forms/few", "a=1", asURL, wantsHTML),
		"unknown":  h.send(t, "GET", "/forms/none", "", wantsHTML),
	} {
		titles, headings, style := 0, 0, ""
		parsed(t, got.text, func(n *html.Node, attr map[string]string) {
			switch n.Data {
			case "title":
				titles++
			case "h1":
				headings++
			case "style":
				style = n.FirstChild.Data
			case "html":
				if attr["lang"] != "en" {
					t.Errorf("%s: no language", what)
				}
			case "form":
				if attr["method"] != "post" || attr["action"] != "" {
					t.Errorf("%s: sent to %v", what, attr)
				}
			}
		})
		sum := sha256.Sum256([]byte(style))
		policy := got.Header.Get("Content-Security-Policy")
		if titles != 1 || headings != 1 || !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s: %d titles, %d headings, policy %s", what, titles, headings, policy)
		}
		if got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "same-origin" || got.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: %v", what, got.Header)
		}
		if strings.Contains(policy, "https://b.test") != (what == "error") {
			t.Errorf("%s: %s", what, policy)
		}
	}
}

// TestNoTextOfAVisitorIsMarkup sends texts that would be markup in any place, and looks for elements and attributes that are not ours.
func TestNoTextOfAVisitorIsMarkup(t *testing.T) {
	h := serve(t, allFields)
	pieces := []string{`"`, `'`, "`", "<", ">", "&", "=", " ", "\n", "/", "\\", "--", "x-evil", "<x-evil>", "</textarea>", "</title>", "</style>", "<!--", "]]>", "onx-evil=1", "javascript:x-evil", "{{", "}}", "\u2028", "&quot;"}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	nasty := func() string {
		var b strings.Builder
		for range 1 + random.IntN(8) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	own := map[string]bool{}
	for _, name := range strings.Fields("type name value id class for role href lang charset content aria-invalid aria-describedby required selected checked multiple min max step accept autocomplete method enctype") {
		own[name] = true
	}
	token := h.token(t, "contact")
	for range 40 {
		values := make(url.Values)
		for _, name := range []string{"email", "name", "message", "site", "phone", "age", "day", "terms", "plan", "photo", "_gotcha"} {
			values[name] = []string{nasty(), nasty()}[:1+random.IntN(2)]
		}
		values.Set(strings.Map(func(r rune) rune {
			if r < ' ' {
				return 'n'
			}
			return r
		}, "f"+nasty()), nasty())
		for _, withToken := range []string{token, ""} {
			values.Set("_token", withToken)
			got := h.send(t, "POST", "/forms/contact", values.Encode(), asURL, wantsHTML, "X-Request-Id: <x-evil>")
			parsed(t, got.text, func(n *html.Node, attr map[string]string) {
				for name := range attr {
					if !own[name] {
						t.Errorf("seed %d: <%s> has the attribute %q", seed, n.Data, name)
					}
				}
				if strings.Contains(n.Data, "evil") || strings.Contains(attr["href"], "evil") {
					t.Errorf("seed %d: element %q", seed, n.Data)
				}
			})
			if hidden := hiddenOf(got.text); withToken == "" && fmt.Sprint(hidden["message"]) != fmt.Sprint(values["message"]) {
				t.Errorf("seed %d: %q became %q", seed, values["message"], hidden["message"])
			}
		}
	}
}
