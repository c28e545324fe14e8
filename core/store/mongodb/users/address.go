package users

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store/mongodb"
)

// address is what the URI of an admin says.
type address struct {
	uri      string
	lookup   bool     // the hosts are found by DNS
	hosts    string   // for people, or for the DNS
	database string   // NAME
	secrets  []string // that no error may show
	user     string   // for people
	source   string   // the database in which the admin is known, for people
	options  []string // name=value, as they are in the URI: those that others connect with too
}

func parseAddress(uri, database string) (address, error) {
	a := address{uri: uri}
	scheme, rest, ok := strings.Cut(uri, "://")
	if a.lookup = scheme == "mongodb+srv"; !ok || !a.lookup && scheme != "mongodb" {
		return a, fmt.Errorf("the admin's URI has to begin with mongodb:// or mongodb+srv://: %w", fault.Invalid)
	}
	place, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(place, '@'); at >= 0 {
		a.login(place[:at])
		place = place[at+1:]
	}
	hosts, path, _ := strings.Cut(place, "/")
	a.hosts, a.source = hosts, path
	a.database = strings.TrimSpace(database)
	if a.database == "" && !isServers(path) {
		a.database = path
	}
	if a.database == "" {
		a.database = "edge"
	}
	if err := mongodb.CheckDatabase(a.database); err != nil {
		return a, err
	}
	return a, a.takeOptions(query)
}

// isServers reports whether a database is the servers' own.
func isServers(database string) bool {
	return database == "" || strings.EqualFold(database, "admin") || strings.EqualFold(database, "local") || strings.EqualFold(database, "config")
}

func (a *address) login(info string) {
	user, password, _ := strings.Cut(info, ":")
	a.user = user
	if decoded, err := url.PathUnescape(user); err == nil {
		a.user = decoded
	}
	a.hide(password)
}

// hide has errors not show a text, in the way in which a URI holds it or in its own.
func (a *address) hide(secret string) {
	decoded, _ := url.PathUnescape(secret)
	for _, s := range []string{secret, decoded} {
		if s != "" {
			a.secrets = append(a.secrets, s)
		}
	}
}

// takeOptions takes what is about reaching the servers. What is about the admin (certificate, mechanism) is nobody else's.
func (a *address) takeOptions(query string) error {
	for option := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(option, "=")
		switch strings.ToLower(name) {
		case "tls", "ssl", "tlscafile", "tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames", "tlsdisableocspendpointcheck",
			"compressors", "srvservicename", "srvmaxhosts":
			a.options = append(a.options, option)
		case "authsource":
			a.source = value
		case "tlscertificatekeyfilepassword", "authmechanismproperties":
			a.hide(value)
		case "loadbalanced":
			return fmt.Errorf("the option loadBalanced in the admin's URI: edge needs the members of a replica set themselves: %w", fault.Invalid)
		}
	}
	return nil
}

// scrub takes what is secret out of an error of the driver or of a server.
func (a address) scrub(text string) string {
	for _, secret := range a.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return text
}

// certificateFile is where the URI of a user with a certificate expects the certificate and its key.
func certificateFile(name string) string {
	if name == Edge {
		return "/etc/edge/mongodb.pem"
	}
	return name + ".pem"
}

// uriFor returns the URI by which a user reaches its database, without the user's name and password. Edge's names no database to log in at:
// that is the one in the path.
func (a address) uriFor(u User, set, members string) string {
	options := a.options
	scheme, hosts := "mongodb", members
	if a.lookup {
		scheme, hosts = "mongodb+srv", a.hosts
	} else {
		options = append([]string{"replicaSet=" + url.QueryEscape(set)}, options...)
	}
	path := a.database
	if u.Name == Functions {
		path += mongodb.FunctionsSuffix
	}
	switch {
	case u.ByCertificate():
		options = append([]string{"authMechanism=MONGODB-X509"}, options...)
		if !a.hasTLS() {
			options = append(options, "tls=true")
		}
		options = append(options, "tlsCertificateKeyFile="+certificateFile(u.Name))
	case u.Name != Edge:
		options = append([]string{"authSource=" + u.Source}, options...)
	}
	uri := scheme + "://" + hosts + "/" + path
	if len(options) > 0 {
		uri += "?" + strings.Join(options, "&")
	}
	return uri
}

func (a address) hasTLS() bool {
	for _, option := range a.options {
		if name, value, _ := strings.Cut(strings.ToLower(option), "="); (name == "tls" || name == "ssl") && value == "true" {
			return true
		}
	}
	return a.lookup
}

// Whole is the URI with the user's name, and with the password when it is known.
func (u User) Whole() string {
	if u.ByCertificate() {
		return u.URI
	}
	info := url.User(u.Login)
	if u.Password != "" {
		info = url.UserPassword(u.Login, u.Password)
	}
	scheme, rest, _ := strings.Cut(u.URI, "://")
	return scheme + "://" + info.String() + "@" + rest
}
