package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // OAuth 1.0a's HMAC-SHA1, which is the only method that X takes
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signer signs requests by OAuth 1.0a with HMAC-SHA1 (RFC 5849 §3.4). A body of JSON is no part of what is signed (§3.4.1.3.1).
type signer struct {
	consumerKey, consumerSecret string
	token, tokenSecret          string
}

// authorization returns the header field Authorization for a request whose URL has neither query nor fragment.
func (s signer) authorization(method, address string, now time.Time) string {
	params := map[string]string{
		"oauth_consumer_key": s.consumerKey, "oauth_token": s.token, "oauth_nonce": rand.Text(), "oauth_version": "1.0",
		"oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": strconv.FormatInt(now.Unix(), 10),
	}
	params["oauth_signature"] = s.signature(method, address, params)
	var fields []string
	for name, value := range params {
		fields = append(fields, encode(name)+`="`+encode(value)+`"`)
	}
	slices.Sort(fields)
	return "OAuth " + strings.Join(fields, ", ")
}

// signature signs parameters: those of the protocol, of the query and of a body that is a form. Their names need no encoding.
func (s signer) signature(method, address string, params map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, encode(name)+"="+encode(params[name]))
	}
	base := method + "&" + encode(address) + "&" + encode(strings.Join(pairs, "&"))
	mac := hmac.New(sha1.New, []byte(encode(s.consumerSecret)+"&"+encode(s.tokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// encode is RFC 3986's percent-encoding (RFC 5849 §3.6), of which QueryEscape differs in the space alone.
func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
