// Package users makes the users of a MongoDB replica set that edge and those beside it need, each with the least that it can do with:
//
//	edge       reads and writes NAME and NAME_private. It can't drop a collection or database, and knows of no others.
//	functions  keeps what it likes in NAME_functions, and sees nothing else.
//	readonly   reads NAME and NAME_functions.
//
// NAME is the database of the store; in NAME_private are keys, tokens and hashes, which only edge reads. Every database has a role for
// each user that may do something there, and users and roles are NAME's own, so that several edges can share a replica set.
//
// In come who may do what, and how that is brought about by a person who may make users. What keeps documents is package mongodb's.
package users

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
)

// The users.
const (
	Edge      = "edge"
	Functions = "functions"
	ReadOnly  = "readonly"
)

// Names are those of all users.
func Names() []string { return []string{Edge, Functions, ReadOnly} }

// Options say what to make.
type Options struct {
	AdminURI string // where the replica set is, with somebody who may make users: the role userAdminAnyDatabase
	Database string // NAME; "" is the database in the URI's path, or else edge

	// Subjects has, by the user's name, the subjects of certificates that log in as this user, as RFC 2253 writes them. Such a user has no password.
	Subjects map[string][]string
}

// Made is what there is now.
type Made struct {
	Database   string
	ReplicaSet string
	Hosts      string // host:port,…
	First      bool   // edge had no role in the database: nothing can have been kept there
	Open       bool   // anybody may do anything, without a user: access control is not enabled
	Users      []User
	Warnings   []string
}

// User is one way to log in.
type User struct {
	Name     string // what it is for: Edge, Functions or ReadOnly
	Login    string // as MongoDB knows it: the name, or the subject of a certificate
	Source   string // the database in which MongoDB knows it, $external for certificates
	Password string // "" when it is not known here, or is none
	Outcome  Outcome
	URI      string // without user and password
}

// ByCertificate reports whether the user logs in with a certificate, and not with a password.
func (u User) ByCertificate() bool { return u.Source == external }

// Outcome is what has become of a user.
type Outcome string

// Outcomes.
const (
	Created Outcome = "created"
	Kept    Outcome = "kept"    // it was there, with its password
	Rotated Outcome = "rotated" // it was there, and has a new password
)

const (
	external = "$external"
	within   = time.Minute // all of it
)

// Make brings users and roles into being. Roles that are there are made what they should be; users that are there stay, with their passwords.
// When there is an error after users were made, these are returned with it: nobody else knows their passwords.
func Make(ctx context.Context, o Options) (*Made, error) {
	a, err := parseAddress(o.AdminURI, o.Database)
	if err == nil {
		err = checkSubjects(o.Subjects)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s, err := reach(ctx, a)
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	made := s.report()
	for _, r := range rolesOf(a.database) {
		created, err := s.ensureRole(ctx, r)
		if err != nil {
			return nil, err
		}
		made.First = made.First || created && r.name == Edge
	}
	for _, u := range s.wanted(o.Subjects) {
		if err := s.ensureUser(ctx, u, made); err != nil {
			return made, err
		}
	}
	if made.Open, err = s.isOpen(ctx); err != nil {
		return made, err
	}
	return made, nil
}

// Rotate gives a user a new password, and changes nothing else. Who is logged in stays so.
func Rotate(ctx context.Context, o Options, name string) (*Made, error) {
	a, err := parseAddress(o.AdminURI, o.Database)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no user %.80q: users are %s: %w", name, strings.Join(Names(), ", "), fault.Invalid)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s, err := reach(ctx, a)
	if err != nil {
		return nil, err
	}
	defer s.close(ctx)
	u := s.newUser(name, name, a.database)
	if _, found, err := s.rolesOfUser(ctx, u); err != nil || !found {
		if err == nil {
			err = fmt.Errorf("there is no user %s with a password in the database %s: make the users first", name, a.database)
		}
		return nil, err
	}
	u.Outcome, u.Password = Rotated, rand.Text()
	if err := s.setPassword(ctx, u); err != nil {
		return nil, err
	}
	made := s.report()
	made.Users = []User{u}
	made.Open, err = s.isOpen(ctx)
	return made, err
}

func checkSubjects(subjects map[string][]string) error {
	for name, all := range subjects {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no user %.80q: users are %s: %w", name, strings.Join(Names(), ", "), fault.Invalid)
		}
		for _, subject := range all {
			if attribute, value, ok := strings.Cut(subject, "="); !ok || attribute == "" || value == "" || len(subject) > 1024 {
				return fmt.Errorf("%.80q is no subject of a certificate: write it as `openssl x509 -noout -subject -nameopt RFC2253 -in FILE` does: %w", subject, fault.Invalid)
			}
		}
	}
	return nil
}

func (s *server) report() *Made {
	return &Made{Database: s.database, ReplicaSet: s.set, Hosts: s.members}
}

// wanted are the users to be made: one for each name, or one for each subject of the name's certificates.
func (s *server) wanted(subjects map[string][]string) []User {
	var all []User
	for _, name := range Names() {
		for _, subject := range subjects[name] {
			all = append(all, s.newUser(name, subject, external))
		}
		if len(subjects[name]) == 0 {
			all = append(all, s.newUser(name, name, s.database))
		}
	}
	return all
}

func (s *server) newUser(name, login, source string) User {
	u := User{Name: name, Login: login, Source: source}
	u.URI = s.uriFor(u, s.set, s.members)
	return u
}

// ensureUser creates a user, or gives one that is there the roles that it lacks.
func (s *server) ensureUser(ctx context.Context, u User, made *Made) error {
	want := grantsOf(s.database, u.Name)
	have, found, err := s.rolesOfUser(ctx, u)
	if err != nil {
		return err
	}
	if !found {
		if u.Outcome = Created; !u.ByCertificate() {
			u.Password = rand.Text()
		}
		if err := s.createUser(ctx, u, want); err != nil {
			return err
		}
	} else {
		u.Outcome = Kept
		if err := s.grant(ctx, u, without(want, have)); err != nil {
			return err
		}
		if more := without(have, want); len(more) > 0 {
			made.Warnings = append(made.Warnings, fmt.Sprintf("the user %s may do more than it should, by the roles %s; take them away in mongosh: db.getSiblingDB(%q).revokeRolesFromUser(%q, %s)",
				u.Login, names(more), u.Source, u.Login, inShell(more)))
		}
	}
	made.Users = append(made.Users, u)
	return s.warnOfPassword(ctx, u, made)
}

// warnOfPassword looks for the user with a password that one with a certificate has taken the place of.
func (s *server) warnOfPassword(ctx context.Context, u User, made *Made) error {
	if !u.ByCertificate() {
		return nil
	}
	_, found, err := s.rolesOfUser(ctx, s.newUser(u.Name, u.Name, s.database))
	text := fmt.Sprintf("there is still a user %s with a password; when nobody uses it, remove it in mongosh: db.getSiblingDB(%q).dropUser(%q)", u.Name, s.database, u.Name)
	if found && !slices.Contains(made.Warnings, text) {
		made.Warnings = append(made.Warnings, text)
	}
	return err
}
