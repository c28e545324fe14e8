package mongodb

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"github.com/onehost/edge/core/fault"
)

// The times in which a server that is gone is noticed, where the URI does not set others.
const (
	selectWithin  = 2 * time.Second // waiting for a primary
	connectWithin = 2 * time.Second // TCP, TLS and login
	heartbeat     = time.Second     // between two looks at a server; one that doesn't answer is gone after this and connectWithin
)

// address is what a URI says.
type address struct {
	uri      string // with user and password
	user     string // for people
	secrets  []string
	hosts    string // for people; no credentials
	database string
	lookup   bool // the hosts are found by DNS, which may be away
}

// What the names of the databases beside edge's own have at their ends: that of private collections, and that which Lambda functions have.
const (
	PrivateSuffix   = "_private"
	FunctionsSuffix = "_functions"
)

var databaseName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$`) // with a suffix at most 63 bytes, as servers allow

// CheckDatabase refuses the servers' own databases, and names by which one edge's database would be what only another one may read.
func CheckDatabase(name string) error {
	lower := strings.ToLower(name) // no two databases differ by case alone
	if !databaseName.MatchString(name) || lower == "admin" || lower == "local" || lower == "config" ||
		strings.HasSuffix(lower, PrivateSuffix) || strings.HasSuffix(lower, FunctionsSuffix) {
		return fmt.Errorf("%.80q is no name of a database for edge: letters, digits, - and _, 50 at most, without %s or %s at the end: %w",
			name, PrivateSuffix, FunctionsSuffix, fault.Invalid)
	}
	return nil
}

func parseAddress(o Options) (address, error) {
	a := address{database: "edge", secrets: []string{o.Password}}
	scheme, rest, ok := strings.Cut(o.URI, "://")
	if a.lookup = scheme == "mongodb+srv"; !ok || !a.lookup && scheme != "mongodb" {
		return a, fmt.Errorf("the URI of the store has to begin with mongodb:// or mongodb+srv://: %w", fault.Invalid)
	}
	login, place, found := strings.Cut(rest, "@")
	if !found {
		login, place = "", rest
	}
	if strings.Contains(place, "@") {
		return a, fmt.Errorf("an @ in a user's name or password, in the URI of the store, has to be written %%40: %w", fault.Invalid)
	}
	login, err := a.login(login, o)
	if err != nil {
		return a, err
	}
	place, query, _ := strings.Cut(place, "?")
	hosts, database, _ := strings.Cut(place, "/")
	if a.hosts = hosts; database != "" {
		a.database = database
	}
	if err := CheckDatabase(a.database); err != nil {
		return a, fmt.Errorf("the URI of the store: %w", err)
	}
	if a.lookup && strings.ContainsAny(hosts, ",:") {
		return a, fmt.Errorf("a mongodb+srv:// URI has one host and no port: %w", fault.Invalid)
	}
	if err := checkQuery(query); err != nil {
		return a, err
	}
	a.uri = scheme + "://" + login + place
	if query != "" {
		a.uri += "?" + query
	}
	checked := a
	checked.uri = "mongodb" + strings.TrimPrefix(a.uri, scheme)
	_, err = checked.options()
	return a, err
}

// login returns what stands in the URI of who logs in. User has its place there, so that what the URI says beside it, or doesn't say, means
// what it would mean to the driver: the database in which the user is known, above all.
func (a *address) login(given string, o Options) (string, error) {
	login := given
	switch {
	case o.User == "" && o.Password != "":
		return "", fmt.Errorf("the store has a password without a user: %w", fault.Invalid)
	case o.User != "" && o.Password != "":
		login = url.UserPassword(o.User, o.Password).String()
	case o.User != "":
		login = url.User(o.User).String()
	}
	for _, one := range []string{given, login} {
		_, password, _ := strings.Cut(one, ":")
		decoded, _ := url.PathUnescape(password)
		a.secrets = append(a.secrets, one, password, decoded)
	}
	if login == "" {
		return "", nil
	}
	name, _, _ := strings.Cut(login, ":")
	a.user, _ = url.PathUnescape(name) // what can't be decoded the driver refuses
	return login + "@", nil
}

// checkQuery refuses what would take away what package store promises.
func checkQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("the options in the URI of the store can't be read: %w", fault.Invalid)
	}
	for name, v := range values {
		switch strings.ToLower(name) {
		case "w", "journal", "j", "readconcernlevel", "readpreference", "retrywrites", "retryreads", "wtimeoutms", "loadbalanced":
			return fmt.Errorf("the option %s=%.40s in the URI of the store is not edge's users' to choose: leave it out: %w", name, v[0], fault.Invalid)
		}
	}
	parsed, err := connstring.Parse("mongodb://host/?" + query)
	if err != nil {
		return nil //nolint:nilerr // what is wrong in an option the driver says of the whole URI
	}
	for _, name := range slices.Sorted(maps.Keys(parsed.UnknownOptions)) {
		return fmt.Errorf("%.40q in the URI of the store is no option: %w", name, fault.Invalid)
	}
	return nil
}

// options are those of the driver.
func (a address) options() (*options.ClientOptions, error) {
	o := options.Client().ApplyURI(a.uri)
	if o.ServerSelectionTimeout == nil {
		o.SetServerSelectionTimeout(selectWithin)
	}
	if o.ConnectTimeout == nil {
		o.SetConnectTimeout(connectWithin)
	}
	if o.HeartbeatInterval == nil {
		o.SetHeartbeatInterval(heartbeat)
	}
	if o.AppName == nil {
		o.SetAppName("edge")
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("the URI of the store: %w: %w", errors.New(a.scrub(err.Error())), fault.Invalid)
	}
	return o, nil
}

// scrub takes user and password out of an error of the driver, which may quote the URI.
func (a address) scrub(text string) string {
	for _, secret := range a.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return text
}
