package forms

import (
	"testing"
)

func TestOnlyThePagesThatAreNamedMaySendAForm(t *testing.T) {
	h := serve(t, `
  named: {origins: [https://a.test, "https://*.b.test", "http://127.0.0.1:1"], `+plenty+`}
  open: {`+plenty+`}`)
	good := h.token(t, "named")
	for what, c := range map[string]struct {
		fields []string
		token  string
		status int
	}{
		"an origin":                 {[]string{"Origin: https://a.test"}, "", 200},
		"in capitals":               {[]string{"Origin: https://A.test"}, "", 200},
		"a label below":             {[]string{"Origin: https://www.b.test"}, "", 200},
		"by Referer":                {[]string{"Referer: https://a.test/page?x=https://evil.test"}, "", 200},
		"two labels below":          {[]string{"Origin: https://a.www.b.test"}, "", 403},
		"no label":                  {[]string{"Origin: https://.b.test"}, "", 403},
		"another port":              {[]string{"Origin: https://a.test:8443"}, "", 403},
		"another scheme":            {[]string{"Origin: http://a.test"}, "", 403},
		"as a prefix":               {[]string{"Origin: https://a.test.evil.test"}, "", 403},
		"as a user":                 {[]string{"Referer: https://a.test@evil.test/"}, "", 403},
		"null":                      {[]string{"Origin: null"}, "", 403},
		"null, with a token":        {[]string{"Origin: null"}, good, 403},
		"null and a good Referer":   {[]string{"Origin: null", "Referer: https://a.test/"}, "", 403},
		"two of them":               {[]string{"Origin: https://a.test", "Origin: https://a.test"}, "", 403},
		"a Referer that is none":    {[]string{"Referer: about:blank"}, "", 403},
		"foreign, with a token":     {[]string{"Origin: https://evil.test"}, good, 403},
		"neither":                   {nil, "", 403},
		"neither, with a token":     {nil, good, 200},
		"its own host":              {[]string{"Origin: " + h.URL}, "", 403},
		"its own, with a token":     {[]string{"Origin: " + h.URL}, good, 200},
		"the same host, other port": {[]string{"Origin: http://127.0.0.1:2"}, good, 403},
	} {
		body := "a=1"
		if c.token != "" {
			body += "&_token=" + c.token
		}
		got := h.send(t, "POST", "/forms/named", body, append(c.fields, asURL, wantsJSON)...)
		if got.StatusCode != c.status {
			t.Errorf("%s: %d %s", what, got.StatusCode, got.text)
		}
		if got := h.send(t, "POST", "/forms/open", "a=1", append(c.fields, asURL, wantsJSON)...); got.StatusCode != 200 {
			t.Errorf("%s, for a form without origins: %d", what, got.StatusCode)
		}
	}
}

func TestPreflightsAreAnsweredHere(t *testing.T) {
	h := serve(t, `
  named: {origins: [https://a.test], `+plenty+`}
  open: {`+plenty+`}`)
	ask := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"}
	for _, c := range []struct{ path, origin, want, vary string }{
		{"named", "https://a.test", "https://a.test", "Origin"},
		{"named/token", "https://a.test", "https://a.test", "Origin"},
		{"named", "https://evil.test", "", "Origin"},
		{"open", "https://evil.test", "*", ""},
	} {
		got := h.send(t, "OPTIONS", "/forms/"+c.path, "", append(ask, "Origin: "+c.origin)...)
		head := got.Header
		if got.StatusCode != 204 || head.Get("Access-Control-Allow-Origin") != c.want || head.Get("Vary") != c.vary || head.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%v: %d %v", c, got.StatusCode, head)
		}
		if (head.Get("Access-Control-Allow-Methods") == "POST, GET") != (c.want != "") || (head.Get("Access-Control-Allow-Headers") == "") != (c.want == "") || (head.Get("Access-Control-Max-Age") == "") != (c.want == "") {
			t.Errorf("%v: %v", c, head)
		}
	}
	if got := h.send(t, "OPTIONS", "/forms/open", ""); got.StatusCode != 204 || got.Header.Get("Allow") != "POST, OPTIONS" {
		t.Error(got.StatusCode, got.Header)
	}
	for origin, want := range map[string]string{"https://a.test": "https://a.test", "https://evil.test": ""} {
		got := h.send(t, "POST", "/forms/named", `{"a":1}`, asJSON, "Origin: "+origin)
		if got.Header.Get("Access-Control-Allow-Origin") != want || got.Header.Values("Vary")[0] != "Origin" {
			t.Errorf("%s: %v", origin, got.Header)
		}
	}
}
