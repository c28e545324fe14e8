package signature

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SignatureVersion 1, which is what AWS signs with unless a topic says otherwise
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// snsAge is how long after its time a notification is taken at least: AWS tries again for about an hour, and does not sign anew.
const snsAge = time.Hour + 10*time.Minute

// sns is AWS SNS. It signs with a certificate that is on a host of its region, the same for all topics: topics says whose.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
type sns struct {
	topics    []string
	tolerance time.Duration
	certs     *certificates
}

// A message is what SNS sends.
type message struct {
	Message, MessageID, Subject, SubscribeURL, Timestamp, Token, TopicArn, Type string
	Signature, SignatureVersion, SigningCertURL                                 string

	subject bool // there is one
}

// readMessage takes a body apart. Of what is signed only Message may have several lines: with a second such field, one text could be read in two ways.
func readMessage(body []byte) (*message, error) {
	m := &message{}
	names := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type", "Signature", "SignatureVersion", "SigningCertURL"}
	to := []*string{&m.Message, &m.MessageID, &m.Subject, &m.SubscribeURL, &m.Timestamp, &m.Token, &m.TopicArn, &m.Type, &m.Signature, &m.SignatureVersion, &m.SigningCertURL}
	paths := make([][]string, len(names))
	for i, name := range names {
		paths[i] = []string{name}
	}
	err := look(body, paths, func(i int, raw []byte) error {
		s, ok := text(raw)
		switch {
		case names[i] == "Subject" && string(raw) == "null":
			return nil
		case !ok:
			return refuse(Malformed, "%s is not a text", names[i])
		case names[i] != "Message" && strings.ContainsAny(s, "\r\n"):
			return refuse(Malformed, "%s has more than one line", names[i])
		}
		*to[i] = s
		m.subject = m.subject || names[i] == "Subject"
		return nil
	})
	if err != nil {
		if _, ok := err.(*Refusal); ok { //nolint:errorlint // it is ours, as it is
			return nil, err
		}
		return nil, refuse(Malformed, "%v", err)
	}
	for _, i := range []int{1, 4, 6, 7, 8, 9, 10} {
		if *to[i] == "" {
			return nil, refuse(Missing, "the body has no %s", names[i])
		}
	}
	return m, nil
}

// signed is the text that AWS signs.
func (m *message) signed() ([]byte, error) {
	var b []byte
	add := func(name, value string) { b = append(append(append(append(b, name...), '\n'), value...), '\n') }
	add("Message", m.Message)
	add("MessageId", m.MessageID)
	switch m.Type {
	case "Notification":
		if m.subject {
			add("Subject", m.Subject)
		}
		add("Timestamp", m.Timestamp)
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
		if m.Token == "" || m.SubscribeURL == "" {
			return nil, refuse(Missing, "the body has no Token or no SubscribeURL")
		}
		add("SubscribeURL", m.SubscribeURL)
		add("Timestamp", m.Timestamp)
		add("Token", m.Token)
	default:
		return nil, refuse(Malformed, "the body's Type is none of SNS's")
	}
	add("TopicArn", m.TopicArn)
	add("Type", m.Type)
	return b, nil
}

func (s *sns) verify(ctx context.Context, r *Request) error {
	if strings.EqualFold(r.Header.Get("X-Amz-Sns-Rawdelivery"), "true") {
		return refuse(Malformed, "the subscription has raw message delivery, which AWS does not sign: turn that off")
	}
	m, err := readMessage(r.Body)
	if err != nil {
		return err
	}
	return s.proven(ctx, m, r.now())
}

// proven returns nil if the message is AWS's, and of one of the topics.
func (s *sns) proven(ctx context.Context, m *message, now time.Time) error {
	if !s.listed(m.TopicArn) {
		return refuse(WrongTopic, "topics has no %s", short(m.TopicArn))
	}
	sent, err := time.Parse(time.RFC3339, m.Timestamp)
	if err != nil {
		return refuse(Malformed, "Timestamp is not as RFC 3339 has it")
	}
	text, err := m.signed()
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(m.Signature)
	if err != nil {
		return refuse(Malformed, "Signature is not in base64")
	}
	if u, ok := parseHTTPS(m.SigningCertURL); !ok || !snsHost.MatchString(u.Host) || u.RawQuery != "" || !snsCertificate.MatchString(u.Path) {
		return refuse(WrongCertificate, "SigningCertURL is no certificate on a host sns.REGION.amazonaws.com")
	}
	chain, err := s.certs.get(ctx, m.SigningCertURL)
	if err != nil {
		return err
	}
	if err := current(chain[0], now); err != nil {
		return err
	}
	public := chain[0].PublicKey.(*rsa.PublicKey)
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(text) //nolint:gosec // see above
		err = rsa.VerifyPKCS1v15(public, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature)
	default:
		return refuse(Malformed, "SignatureVersion is neither 1 nor 2")
	}
	if err != nil {
		return refuse(WrongSignature, "the signature does not fit AWS's certificate")
	}
	return near(sent, now, max(s.tolerance, snsAge), s.tolerance)
}

func (s *sns) listed(arn string) bool {
	for _, pattern := range s.topics {
		if match(pattern, arn) {
			return true
		}
	}
	return false
}

// snsHost is a host of SNS. A bucket of S3 could have the name sns, and a host such as sns.s3-us-west-2.amazonaws.com: what
// follows sns. has to be a region.
var snsHost = regexp.MustCompile(`^sns\.[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(\.cn)?$`)

// snsCertificate is the path of a certificate there.
var snsCertificate = regexp.MustCompile(`^/SimpleNotificationService[-0-9A-Za-z]{0,80}\.pem$`)

// subscribes reports whether a URL confirms the subscription of a topic, and does nothing else.
func subscribes(address, topic string) bool {
	u, ok := parseHTTPS(address)
	if !ok || !snsHost.MatchString(u.Host) || u.Path != "/" && u.Path != "" {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	return err == nil && len(query["Action"]) == 1 && query.Get("Action") == "ConfirmSubscription" && len(query["TopicArn"]) == 1 && query.Get("TopicArn") == topic
}

// match reports whether all of s is what a pattern with * and ? says.
func match(pattern, s string) bool {
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
