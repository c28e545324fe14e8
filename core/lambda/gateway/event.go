package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/lambda"
)

// What stands where API Gateway names the account and the API, which edge has none of.
const (
	account = "edge"
	api     = "edge"
	stage   = "$default"
)

const defaultRoute = "$default"

// event is the payload format 2.0. What may be absent is left out, as API Gateway leaves it out.
type event struct {
	Version  string            `json:"version"`
	RouteKey string            `json:"routeKey"`
	RawPath  string            `json:"rawPath"`
	RawQuery string            `json:"rawQueryString"`
	Cookies  []string          `json:"cookies,omitempty"`
	Headers  map[string]string `json:"headers"`
	Query    map[string]string `json:"queryStringParameters,omitempty"`
	Context  requestContext    `json:"requestContext"`
	Path     map[string]string `json:"pathParameters,omitempty"`
	// At the end come body, unless it is empty, and isBase64Encoded: see appendBody.
}

type requestContext struct {
	AccountID      string          `json:"accountId"`
	APIID          string          `json:"apiId"`
	Authentication *authentication `json:"authentication,omitempty"`
	DomainName     string          `json:"domainName"`
	DomainPrefix   string          `json:"domainPrefix"`
	HTTP           httpContext     `json:"http"`
	RequestID      string          `json:"requestId"`
	RouteKey       string          `json:"routeKey"`
	Stage          string          `json:"stage"`
	Time           string          `json:"time"`
	TimeEpoch      int64           `json:"timeEpoch"` // in ms
}

type httpContext struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// NewEvent is the event that a function gets of a request and of its body, which has been read from r.Body before.
//
// It is what an HTTP API of API Gateway sends in payload format 2.0
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html), and where that page
// says nothing, what API Gateway was seen to do:
//   - rawPath and the path parameters are decoded, %2F too; rawQueryString is as it came.
//   - Repeated headers and query parameters are joined with a comma, in their order. A parameter without a value has an empty one.
//   - Cookies are told apart and stand in no header.
//   - A body is text if it is of type text/*, application/json, application/xml or application/javascript; else it is base64, forms
//     (application/x-www-form-urlencoded) and bodies of no type too. So is one that is compressed or is not UTF-8, which as text would be broken.
//   - content-length is the body's, 0 if there is none. Fields for one connection do not go on.
//
// The route's key is r.Pattern, "$default" if there is none; path parameters are the names in its braces with r.PathValue. The request
// id is the field X-Request-Id; the client is RemoteAddr, and comes last in x-forwarded-for unless it is in there already. Account and API
// are called "edge", the stage "$default".
//
// An event over [lambda.MaxEvent] is a fault.TooLarge.
func NewEvent(r *http.Request, body []byte) ([]byte, error) { return newEvent(r, body, time.Now()) }

func newEvent(r *http.Request, body []byte, now time.Time) ([]byte, error) {
	now = now.UTC()
	route := r.Pattern
	if route == "" {
		route = defaultRoute
	}
	domain := hostname(r.Host)
	source := client(r.RemoteAddr)
	id := r.Header.Get("X-Request-Id")
	e := event{
		Version: "2.0", RouteKey: route, RawPath: r.URL.Path, RawQuery: r.URL.RawQuery,
		Cookies: cookies(r.Header["Cookie"]),
		Headers: headers(r, len(body), source, traceID(id, now)),
		Query:   parameters(r.URL.RawQuery),
		Path:    pathParameters(r),
		Context: requestContext{
			AccountID: account, APIID: api, Stage: stage, RouteKey: route, RequestID: id,
			Authentication: authenticated(r.TLS),
			DomainName:     domain, DomainPrefix: prefix(domain),
			HTTP: httpContext{Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: source, UserAgent: r.UserAgent()},
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		},
	}
	return e.marshal(body, len(body) == 0 || isText(r.Header, body))
}

func (e *event) marshal(body []byte, text bool) ([]byte, error) {
	n := len(body)
	if !text {
		n = base64.StdEncoding.EncodedLen(n)
	}
	if n > lambda.MaxEvent { // spares making it
		return nil, tooLarge(n)
	}
	var b bytes.Buffer
	b.Grow(n + 4<<10)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as API Gateway; and shorter
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	b.Truncate(b.Len() - len("}\n"))
	if err := appendBody(&b, enc, body, text); err != nil {
		return nil, err
	}
	if b.Len() > lambda.MaxEvent {
		return nil, tooLarge(b.Len())
	}
	return b.Bytes(), nil
}

// appendBody writes base64 without a copy, and without looking for what would have to be escaped: bodies are most of what an event is.
func appendBody(b *bytes.Buffer, enc *json.Encoder, body []byte, text bool) error {
	if len(body) > 0 {
		b.WriteString(`,"body":`)
		if text {
			if err := enc.Encode(string(body)); err != nil {
				return err
			}
			b.Truncate(b.Len() - len("\n"))
		} else {
			b.WriteByte('"')
			b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), body))
			b.WriteByte('"')
		}
	}
	b.WriteString(`,"isBase64Encoded":` + strconv.FormatBool(!text) + "}")
	return nil
}

func tooLarge(n int) error {
	return fmt.Errorf("an event of %d bytes: a function takes %d, and a body that is not text becomes a third longer on the way: %w", n, lambda.MaxEvent, fault.TooLarge)
}

// isText reports whether a function gets the body as it is.
func isText(h http.Header, body []byte) bool {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil && media == "" {
		return false
	}
	switch {
	case strings.HasPrefix(media, "text/"), media == "application/json", media == "application/xml", media == "application/javascript":
		return utf8.Valid(body)
	}
	return false
}

// notSent are fields that say something about one connection only (RFC 9110, section 7.6.1), or that are said otherwise.
var notSent = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
	"Cookie", "Host", "Content-Length",
}

func headers(r *http.Request, length int, source, trace string) map[string]string {
	h := make(map[string]string, len(r.Header)+6)
	for name, values := range r.Header {
		if !slices.Contains(notSent, http.CanonicalHeaderKey(name)) {
			h[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	h["host"] = r.Host
	h["content-length"] = strconv.Itoa(length)
	if source != "" {
		h["x-forwarded-for"] = forwardedFor(h["x-forwarded-for"], source)
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if h["x-forwarded-proto"] == "" {
		h["x-forwarded-proto"] = scheme
	}
	if h["x-forwarded-port"] == "" {
		h["x-forwarded-port"] = port(r.Host, h["x-forwarded-proto"])
	}
	if h["x-amzn-trace-id"] == "" {
		h["x-amzn-trace-id"] = trace
	}
	return h
}

func forwardedFor(said, source string) string {
	for address := range strings.SplitSeq(said, ",") {
		if strings.TrimSpace(address) == source {
			return said
		}
	}
	if said == "" {
		return source
	}
	return said + ", " + source
}

// traceID is made of the request's id, so that the one says the other (https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids).
func traceID(id string, now time.Time) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("Root=1-%08x-%s", uint32(now.Unix()), hex.EncodeToString(sum[:12]))
}

// port is what the visitor connected to.
func port(host, scheme string) string {
	if _, port, err := net.SplitHostPort(host); err == nil && port != "" {
		return port
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// prefix is the first label of a name; an address has no labels.
func prefix(domain string) string {
	if _, err := netip.ParseAddr(domain); err == nil {
		return domain
	}
	label, _, _ := strings.Cut(domain, ".")
	return label
}

func client(remote string) string {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return ""
}

// cookies tells the pairs of Cookie fields apart (RFC 6265, section 4.2.1; HTTP/2 sends one field each).
func cookies(fields []string) []string {
	var all []string
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			if pair = strings.Trim(pair, " \t"); pair != "" {
				all = append(all, pair)
			}
		}
	}
	return all
}

// parameters decodes a query. What is not percent-encoding stays as it is: rawQueryString is there for who cares.
func parameters(query string) map[string]string {
	if query == "" {
		return nil
	}
	all := make(map[string]string)
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if first, ok := all[name]; ok {
			value = first + "," + value
		}
		all[name] = value
	}
	return all
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

func pathParameters(r *http.Request) map[string]string {
	var all map[string]string
	for rest := r.Pattern; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return all
		}
		name, remaining, _ := strings.Cut(after, "}")
		rest = remaining
		if name = strings.TrimSuffix(strings.TrimSuffix(name, "+"), "..."); name == "" || name == "$" {
			continue
		}
		if all == nil {
			all = make(map[string]string)
		}
		all[name] = r.PathValue(name)
	}
}
