package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

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
	uri            string
	user, password string
	hosts          string // for people; no credentials
	database       string
	lookup         bool // the hosts are found by DNS, which may be away
}

var databaseName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$`)

func parseAddress(o Options) (address, error) {
	a := address{uri: o.URI, user: o.User, password: o.Password, database: "edge"}
	scheme, rest, ok := strings.Cut(o.URI, "://")
	if a.lookup = scheme == "mongodb+srv"; !ok || !a.lookup && scheme != "mongodb" {
		return a, fmt.Errorf("the URI of the store has to begin with mongodb:// or mongodb+srv://: %w", fault.Invalid)
	}
	if a.user == "" && a.password != "" {
		return a, fmt.Errorf("the store has a password without a user: %w", fault.Invalid)
	}
	place, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(place, '@'); at >= 0 {
		place = place[at+1:]
	}
	hosts, database, _ := strings.Cut(place, "/")
	a.hosts = hosts
	if database != "" {
		a.database = database
	}
	if !databaseName.MatchString(a.database) || a.database == "admin" || a.database == "local" || a.database == "config" {
		return a, fmt.Errorf("%.80q, in the URI of the store, is no name of a database for edge: letters, digits, - and _, 50 at most: %w", a.database, fault.Invalid)
	}
	if a.lookup && strings.ContainsAny(hosts, ",:") {
		return a, fmt.Errorf("a mongodb+srv:// URI has one host and no port: %w", fault.Invalid)
	}
	if err := checkQuery(query); err != nil {
		return a, err
	}
	checked := a
	checked.uri = "mongodb" + strings.TrimPrefix(o.URI, scheme)
	_, err := checked.options()
	return a, err
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
	return nil
}

// options are those of the driver.
func (a address) options() (*options.ClientOptions, error) {
	o := options.Client().ApplyURI(a.uri)
	if a.user != "" {
		a.login(o)
	}
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

// login has User take the place of the URI's. As in a URI, it is known in the database admin when the URI names none.
func (a address) login(o *options.ClientOptions) {
	auth := options.Credential{}
	if o.Auth != nil {
		auth = *o.Auth
	}
	if auth.AuthSource == "" && strings.Contains(a.uri, "/"+a.database) {
		auth.AuthSource = a.database
	}
	auth.Username, auth.Password, auth.PasswordSet = a.user, a.password, true
	o.SetAuth(auth)
}

// userName is who logs in, for people.
func (a address) userName() string {
	if o, err := a.options(); a.user == "" && !a.lookup && err == nil && o.Auth != nil {
		return o.Auth.Username
	}
	return a.user
}

// scrub takes user and password out of an error of the driver, which may quote the URI.
func (a address) scrub(text string) string {
	_, rest, _ := strings.Cut(a.uri, "://")
	secrets := []string{a.password}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		_, password, _ := strings.Cut(rest[:at], ":")
		decoded, _ := url.PathUnescape(password)
		secrets = append(secrets, rest[:at], password, decoded)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return text
}
