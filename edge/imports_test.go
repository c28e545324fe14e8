package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/onehost/edge/"

const awsServices = "github.com/aws/aws-sdk-go-v2/service/"

// rule says what the files below a folder may not import.
type importRule struct {
	below  string   // folder, "" for all
	except []string // folders that it does not hold for
	not    []string // import paths, with all that is below them
	why    string
}

// importRules are who may enter which room. Paths of this module are written without its name.
var importRules = []importRule{
	{below: "core", not: []string{"edge", "plugins", "web", "deploy"}, why: "core is the domain: it knows nothing of those who ask"},
	{below: "plugins/sdk", not: []string{"core", "edge"}, why: "a plugin author pulls in none of our stores"},
	{below: "web", not: []string{"core", "edge", "plugins", "deploy"}, why: "web is files"},
	{except: []string{"edge"}, not: []string{"edge"}, why: "nothing imports edge"},
	{except: []string{"edge/internal/cert"}, not: []string{"github.com/caddyserver/certmagic", "github.com/mholt/acmez", "github.com/libdns", "github.com/miekg/dns"}, why: "only cert knows certmagic, ACME and DNS"},
	{except: []string{"edge/internal/cert/route53"}, not: []string{"github.com/libdns", awsServices + "route53"}, why: "a room knows the AWS service that it is for, and route53 is for Route 53"},
	{except: []string{"core/lambda"}, not: []string{awsServices + "lambda"}, why: "only lambda knows Lambda"},
	{except: []string{"core/mail"}, not: []string{awsServices + "sesv2"}, why: "only mail knows SES"},
	{except: []string{"core/api/uploads"}, not: []string{awsServices + "s3"}, why: "only uploads knows S3"},
	{except: []string{"edge/internal/cert/route53", "core/lambda", "core/mail", "core/api/uploads"}, not: []string{"github.com/aws/aws-sdk-go-v2"}, why: "AWS is known where a service of it is used"},
	{except: []string{"deploy/lambda"}, not: []string{"github.com/aws/aws-lambda-go"}, why: "only a function knows that it is one"},
	{below: "core/lambda", not: []string{"core/store", "core/forms", "core/mail"}, why: "invoking a function needs nothing but its event"},
	{except: []string{"core/mail"}, not: []string{"github.com/wneessen/go-mail"}, why: "only mail knows SMTP"},
	{except: []string{"core/mail/mailtest"}, not: []string{"core/mail/mailtest"}, why: "mail servers to test with are for tests"},
	{except: []string{"core/mail/mailtest", "core/store/mongodb/mongodbtest", "edge/internal/cert/route53/route53test"}, not: []string{"core/pypitest"}, why: "tools from PyPI are for tests"},
	{below: "core/mail", not: []string{"core/store", "core/forms", "core/lambda"}, why: "mail is sent for whoever asks"},
	{below: "core/forms", not: []string{"core/mail", "core/api", "core/webhooks", "core/jobs"}, why: "modules do not know one another"},
	{below: "core/webhooks", not: []string{"core/mail", "core/api", "core/forms", "core/lambda", "core/jobs"}, why: "modules do not know one another"},
	{below: "core/webhooks/signature", not: []string{"core/store", "core/webhooks/inbox"}, why: "who has signed something is asked of the bytes alone"},
	{below: "core/webhooks/spool", not: []string{"core/store", "core/config", "core/webhooks"}, why: "a spool knows bytes"},
	{below: "core/webhooks/inbox", not: []string{"core/webhooks/dispatch", "core/webhooks/signature", "core/webhooks/spool"}, why: "the inbox is asked, and asks nobody but the store"},
	{below: "core/jobs", not: []string{"core/mail", "core/api", "core/forms", "core/webhooks"}, why: "modules do not know one another"},
	{below: "core/jobs/schedule", not: []string{"core/store", "core/jobs/action"}, why: "when something is due is asked of the configuration alone"},
	{below: "core/api", not: []string{"core/forms", "core/webhooks", "core/jobs", "core/lambda"}, why: "modules do not know one another"},
	{below: "core/api/schema", not: []string{"core/store", "core/api/query", "core/api/entries"}, why: "what a type is depends on no entry"},
	{below: "core/api/qs", not: []string{"core/store", "core/api/schema", "core/api/query"}, why: "a query string is read before anybody knows what it is about"},
	{below: "core/api/query", not: []string{"core/store", "core/api/entries", "core/api/rows"}, why: "what is asked for is known before it is looked for"},
	{below: "core/api/entries", not: []string{"core/api/accounts", "core/api/wire"}, why: "entries are kept for whoever asks"},
	{except: []string{"core/api/accounts"}, not: []string{"github.com/golang-jwt/jwt"}, why: "only accounts know how a login is signed"},
	{except: []string{"core/api/password"}, not: []string{"golang.org/x/crypto/argon2"}, why: "only password knows how passwords are hashed"},
	{below: "core/child", not: []string{"core"}, why: "who starts a process does not know what it is"},
	{below: "core/pace", not: []string{"core"}, why: "pace knows neither what is called nor why"},
	{below: "plugins/host", not: []string{"core/store", "core/mail", "plugins/sdk", "plugins/services"}, why: "a host knows processes; what they may call is given to it"},
	{below: "plugins/samples", not: []string{"core", "edge", "plugins/internal", "plugins/host", "plugins/services"}, why: "a sample is what anybody could write"},
	{except: []string{"plugins"}, not: []string{"plugins/internal"}, why: "what goes over the wire to plugins is theirs and their host's"},
	{below: "deploy/lambda", except: []string{"deploy/lambda/internal/functiontest"}, not: []string{"core/store", "core/forms", "core/lambda", "deploy/lambda/internal/functiontest"}, why: "a function runs where edge is not"},
	{except: []string{"edge/internal/front"}, not: []string{"github.com/quic-go"}, why: "only a front knows QUIC"},
	{except: []string{"edge/internal/cert/acmetest", "edge/internal/cert/route53/route53test"}, not: []string{"edge/internal/cert/acmetest", "edge/internal/cert/childtest", "edge/internal/cert/route53/route53test"}, why: "a CA, a DNS and processes to test with are for tests"},
	{except: []string{"edge/internal/exchange/exchangetest"}, not: []string{"edge/internal/exchange/exchangetest"}, why: "exchanges to test with are for tests"},
	{except: []string{"core/store/sqlite", "core/api/strapi", "deploy/lambda", "deploy/sample/seed"}, not: []string{"github.com/ncruces/go-sqlite3"}, why: "only the engine knows SQLite, who reads Strapi's, and functions that keep something of their own"},
	{except: []string{"core/store/mongodb", "deploy/lambda"}, not: []string{"go.mongodb.org/mongo-driver"}, why: "only the engine knows MongoDB, and functions that keep something of their own"},
	{except: []string{"core/store/storetest", "core/store/enginetest", "core/store/mongodb/mongodbtest", "deploy/lambda/internal/functiontest"}, not: []string{"core/store/storetest", "core/store/enginetest", "core/store/mongodb/mongodbtest"}, why: "stores to test with are for tests"},
	{below: "core/store/sqlite", not: []string{"core/config", "core/store/mongodb", "core/store/lease", "core/store/move"}, why: "an engine knows the interface alone"},
	{below: "core/store/mongodb", not: []string{"core/config", "core/store/sqlite", "core/store/lease", "core/store/move"}, why: "an engine knows the interface alone"},
	{except: []string{"core/jobs"}, not: []string{"github.com/robfig/cron"}, why: "only jobs knows cron"},
	{except: []string{"plugins/sdk", "plugins/host"}, not: []string{"github.com/hashicorp/go-plugin"}, why: "only the SDK and the host know go-plugin"},
	{except: []string{"edge/internal/front"}, not: []string{"golang.org/x/net/http2/hpack"}, why: "protocols are the fronts' business"},
	{below: "edge/internal/exchange", not: []string{"core", "edge/internal/front", "edge/internal/chain", "edge/internal/rules", "edge/internal/target", "edge/internal/proxy", "edge/internal/site", "edge/internal/reply"}, why: "all rooms stand on the exchange: it stands on none"},
	{below: "edge/internal/http1", not: []string{"core", "edge/internal/front", "edge/internal/chain", "edge/internal/rules", "edge/internal/target", "edge/internal/proxy", "edge/internal/site", "edge/internal/reply"}, why: "syntax knows neither visitors nor targets"},
	{below: "edge/internal/front", not: []string{"core", "edge/internal/chain", "edge/internal/rules", "edge/internal/target", "edge/internal/proxy", "edge/internal/site"}, why: "a front knows bytes and exchanges"},
	{below: "edge/internal/rules", not: []string{"edge/internal/front", "edge/internal/chain", "edge/internal/target", "edge/internal/proxy", "edge/internal/site"}, why: "rules know actions only as exchange.Handler"},
	{below: "edge/internal/site", not: []string{"edge/internal/front", "edge/internal/chain", "edge/internal/rules", "edge/internal/target", "edge/internal/proxy"}, why: "actions do not know one another"},
	{below: "edge/internal/target", not: []string{"edge/internal/front", "edge/internal/chain", "edge/internal/rules", "edge/internal/proxy", "edge/internal/site", "edge/internal/exchange"}, why: "a target knows its health, not requests"},
	{below: "edge/internal/proxy", not: []string{"edge/internal/chain", "edge/internal/rules", "edge/internal/site"}, why: "actions do not know one another"},
}

// TestImports reads the imports of every file itself: `go list` in a test would be cached with a stale answer.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules" || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files++
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(name, "../")))
		for _, spec := range parsed.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			for _, rule := range importRules {
				if broken := rule.broken(folder, strings.TrimPrefix(imported, modulePath)); broken {
					t.Errorf("%s imports %s: %s", name, imported, rule.why)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files were read: is the test looking at the right folder?", files)
	}
}

func (r importRule) broken(folder, imported string) bool {
	return (r.below == "" || within(folder, r.below)) &&
		!slices.ContainsFunc(r.except, func(e string) bool { return within(folder, e) }) &&
		slices.ContainsFunc(r.not, func(n string) bool { return within(imported, n) })
}

// within reports whether a slash-separated path is folder or below it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, path.Clean(folder)+"/")
}

func TestImportRulesCanFail(t *testing.T) {
	broken := func(folder, imported string) bool {
		return slices.ContainsFunc(importRules, func(r importRule) bool { return r.broken(folder, imported) })
	}
	for _, bad := range [][2]string{
		{"core/config", "edge/internal/cert"}, {"plugins/sdk/x", "core/store"}, {"web", "core/config"}, {"deploy/x", "edge/internal/site"},
		{"edge", "github.com/caddyserver/certmagic"}, {"edge/internal/rules", "edge/internal/proxy"},
		{"edge/internal/cert", "github.com/aws/aws-sdk-go-v2/config"}, {"edge/internal/listen", "github.com/quic-go/quic-go"},
		{"edge/internal/cert", "edge/internal/cert/acmetest"}, {"edge/internal/cert/route53", "edge/internal/cert/route53/route53test"},
		{"edge/internal/cert/storage", "edge/internal/cert/childtest"}, {"core/store", "go.mongodb.org/mongo-driver/v2/bson"}, {"core/forms", awsServices + "lambda"}, {"core/mail", awsServices + "lambda"}, {"core/mail", "core/pypitest"}, {"core/forms", "core/mail"}, {"edge", "github.com/aws/aws-lambda-go/events"},
		{"edge", "core/store/storetest"}, {"edge/internal/http1", "edge/internal/proxy"}, {"deploy/lambda/contact", "core/lambda"},
	} {
		if !broken(bad[0], bad[1]) {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
	for _, good := range [][2]string{
		{"edge", "core/config"}, {"edge/internal/cert", "github.com/caddyserver/certmagic"}, {"edge/internal/proxy", "edge/internal/target"},
		{"edge/internal/cert/route53", "github.com/aws/aws-sdk-go-v2/config"}, {"edge/internal/front", "github.com/quic-go/quic-go/http3"},
		{"edge/internal/cert/route53/route53test", "edge/internal/cert/acmetest"}, {"core/mail", awsServices + "sesv2"}, {"deploy/lambda/contact", "core/mail"}, {"deploy/lambda/internal/functiontest", "core/lambda"},
	} {
		if broken(good[0], good[1]) {
			t.Errorf("%s may not import %s", good[0], good[1])
		}
	}
}
