package main

import (
	"fmt"
	"strings"

	"github.com/onehost/edge/core/store/mongodb/users"
)

type (
	// storeUsers is what edge store init says in JSON.
	storeUsers struct {
		Database      string        `json:"database"`
		ReplicaSet    string        `json:"replica_set"`
		Hosts         string        `json:"hosts"`
		AccessControl bool          `json:"access_control"`
		Store         *storeSection `json:"store,omitempty"` // for edge.yaml; none when edge was not asked for
		Users         []storeUser   `json:"users"`
		Warnings      []string      `json:"warnings"`
	}

	// storeSection is the section store of edge.yaml. What is not known here is left out.
	storeSection struct {
		URI      string `json:"uri"`
		User     string `json:"user,omitempty"`
		Password string `json:"password,omitempty"`
		Key      string `json:"key,omitempty"`
	}

	storeUser struct {
		Name     string        `json:"name"`
		Login    string        `json:"login"`
		Source   string        `json:"source"`
		Outcome  users.Outcome `json:"outcome"`
		Password string        `json:"password,omitempty"`
		URI      string        `json:"uri"` // with user and password
	}
)

func madeJSON(made *users.Made, key string) storeUsers {
	all := storeUsers{Database: made.Database, ReplicaSet: made.ReplicaSet, Hosts: made.Hosts, AccessControl: !made.Open, Users: []storeUser{}, Warnings: warningsOf(made)}
	for _, u := range made.Users {
		all.Users = append(all.Users, storeUser{u.Name, u.Login, u.Source, u.Outcome, u.Password, u.Whole()})
		if u.Name == users.Edge && all.Store == nil {
			all.Store = &storeSection{URI: u.URI, Password: u.Password, Key: key}
			if !u.ByCertificate() {
				all.Store.User = u.Login
			}
		}
	}
	return all
}

func warningsOf(made *users.Made) []string {
	warnings := append([]string{}, made.Warnings...)
	if made.Open {
		warnings = append(warnings, `this MongoDB lets anybody do anything: access control is not enabled, and nobody is asked for these passwords. Make an admin (mongosh admin --eval 'db.createUser({user: "admin", pwd: passwordPrompt(), roles: ["root"]})'), put security.authorization: enabled and security.keyFile into mongod.conf of all members, and restart them`)
	}
	return warnings
}

// mayDo says what a user is for.
func mayDo(name, database string) string {
	switch name {
	case users.Edge:
		return fmt.Sprintf("reads and writes %s and %s_private", database, database)
	case users.Functions:
		return fmt.Sprintf("reads and writes %s_functions", database)
	default:
		return fmt.Sprintf("reads %s and %s_functions", database, database)
	}
}

// madeText is what edge store init says to people.
func madeText(made *users.Made, key, rotated string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, replica set %s, database %s\n\n", made.Hosts, made.ReplicaSet, made.Database)
	t := new(table)
	t.head("USER", "", "", "LOGS IN WITH")
	for _, u := range made.Users {
		with := "its password"
		if u.ByCertificate() {
			with = "the certificate of " + u.Login
		}
		t.row(plain("%s", u.Name), plain("%s", u.Outcome), plain("%s", mayDo(u.Name, made.Database)), plain("%s", with))
	}
	t.print(&b)
	shown := false
	for _, u := range made.Users {
		switch {
		case u.Name == users.Edge && !shown:
			shown = true
			edgeText(&b, u, key, rotated != "")
		case u.Name != users.Edge && u.Outcome != users.Kept:
			fmt.Fprintf(&b, "\n%s:\n\n  %s\n", whoConnects(u.Name), u.Whole())
		}
	}
	for _, u := range made.Users {
		if u.Outcome == users.Kept && !u.ByCertificate() {
			fmt.Fprintf(&b, "\nThe passwords of users that were there are as they were. `edge store init --rotate %s` makes a new one.\n", u.Name)
			break
		}
	}
	return b.String()
}

func whoConnects(name string) string {
	if name == users.Functions {
		return "Lambda functions connect with"
	}
	return "People and tools that only read connect with"
}

// edgeText is the section store of edge.yaml, and what to do with its secrets.
func edgeText(b *strings.Builder, u users.User, key string, rotated bool) {
	fmt.Fprintf(b, "\nInto edge.yaml, on all hosts the same:\n\nstore:\n  uri: %s\n", u.URI)
	var secrets []string
	secret := func(name, value, kept string) {
		if value == "" {
			fmt.Fprintf(b, "  %s: ${file:/etc/edge/store.%s}  # %s\n", name, name, kept)
			return
		}
		fmt.Fprintf(b, "  %s: %s\n", name, value)
		secrets = append(secrets, name)
	}
	if !u.ByCertificate() {
		fmt.Fprintf(b, "  user: %s\n", u.Login)
		secret("password", u.Password, "as it was")
	}
	secret("key", key, "as it was; if there is none yet: openssl rand -base64 32")
	if u.ByCertificate() {
		fmt.Fprintf(b, "\nPut the certificate and its key, in PEM, into the file that the URI names.\n")
	}
	if len(secrets) == 0 {
		return
	}
	fmt.Fprintf(b, "\nThe %s shown this once. Secrets are better in files that only edge's user can read, as\n"+
		"${file:/etc/edge/store.password}, or in credentials of systemd, as ${credential:store.password}\n"+
		"(LoadCredential=store.password:/etc/edge/store.password), than in edge.yaml.\n", isShown(secrets))
	if key != "" {
		b.WriteString("Keep a copy of the key elsewhere: without it nobody can read the private keys in the database.\n")
	}
	if rotated {
		b.WriteString("Put the new password on all hosts and restart edge there: who is logged in stays so, but can't log in\nagain with the old one.\n")
	}
}

func isShown(secrets []string) string {
	if len(secrets) > 1 {
		return strings.Join(secrets, " and the ") + " are"
	}
	return secrets[0] + " is"
}
