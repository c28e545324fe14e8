package captcha

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// answer is what all providers say, as far as it counts. When the captcha was done is left to them: they refuse tokens that are too old by
// their own clock, and ours may be wrong.
type answer struct {
	success  bool
	codes    []string
	hostname string
	action   string
	score    *float64 // reCAPTCHA v3
}

// readAnswer takes one JSON object with a boolean success. Names count as they are spelled, and once; those of which nothing is known are passed over.
func readAnswer(body []byte) (answer, error) {
	fields, err := readObject(body)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if _, ok := fields["success"]; !ok {
		return answer{}, errors.New("success is missing")
	}
	for _, f := range []struct {
		name string
		to   any
	}{{"success", &a.success}, {"error-codes", &a.codes}, {"hostname", &a.hostname}, {"action", &a.action}, {"score", &a.score}} {
		raw, ok := fields[f.name]
		if !ok {
			continue
		}
		if json.Unmarshal(raw, f.to) != nil || f.name == "success" && string(raw) == "null" {
			return answer{}, fmt.Errorf("%s is of the wrong type", f.name)
		}
	}
	if a.score != nil && (*a.score < 0 || *a.score > 1) {
		return answer{}, errors.New("score is not between 0 and 1")
	}
	if a.success && len(a.codes) > 0 {
		return answer{}, errors.New("success is true, and there are error-codes")
	}
	return a, nil
}

// readObject does what encoding/json's structs do not: a name of another case is another name, one that comes twice is an error.
func readObject(body []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	fields := make(map[string]json.RawMessage)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("it is not JSON")
		}
		if _, twice := fields[name]; twice {
			return nil, errors.New("it says something twice")
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil, errors.New("it is not JSON")
		}
		fields[name] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more than one JSON object")
	}
	return fields, nil
}

// judge decides. Codes that a visitor can cause with a token of his choice are refusals, however they sound (sitekey-secret-mismatch,
// not-using-dummy-secret, bad-request): otherwise he could raise an alarm, or get past a captcha that lets people in when it is away.
func (v *Verifier) judge(a answer) (Verdict, error) {
	if !a.success {
		return v.refusal(a.codes)
	}
	switch {
	case !v.knows(a.hostname):
		return Verdict{Reason: Hostname}, nil
	case v.action != "" && a.action != v.action:
		return Verdict{Reason: Action}, nil
	case v.provider.scores && a.score != nil && *a.score < v.score:
		return Verdict{Person: true, Doubt: true, Reason: Score}, nil
	}
	return Verdict{Person: true}, nil
}

func (v *Verifier) refusal(codes []string) (Verdict, error) {
	again := false
	for _, code := range codes {
		switch code {
		case "missing-input-secret", "invalid-input-secret":
			return Verdict{}, fmt.Errorf("captcha: %s: %s: %w", v.provider.name, code, ErrSecret)
		case "internal-error":
			return Verdict{}, v.unavailable("has an error of its own")
		case "timeout-or-duplicate", "expired-input-response", "already-seen-response", "invalid-or-already-seen-response":
			again = true
		}
	}
	if again {
		return Verdict{Reason: Again}, nil
	}
	return Verdict{Reason: Refused}, nil
}

// knows reports whether the captcha was done on a page of ours.
func (v *Verifier) knows(hostname string) bool {
	if len(v.hostnames) == 0 || v.provider.anonymous && (hostname == "" || hostname == "not-provided") {
		return true
	}
	hostname = plain(hostname)
	return hostname != "" && slices.ContainsFunc(v.hostnames, func(ours string) bool {
		ours = plain(ours)
		if rest, wild := strings.CutPrefix(ours, "*"); wild {
			return strings.HasSuffix(hostname, rest) && len(hostname) > len(rest)
		}
		return hostname == ours
	})
}

func plain(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
