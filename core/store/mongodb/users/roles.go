package users

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/onehost/edge/core/store/mongodb"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// role is what one user may do in one database. It is known there, so it can't be about another one.
type role struct {
	name     string // of the user
	database string
	actions  []string // https://www.mongodb.com/docs/manual/reference/privilege-actions/
}

// rolesOf is who may do what. Edge has no business in what the functions keep; it removes documents, but nothing of it drops a collection.
func rolesOf(database string) []role {
	look := []string{"collStats", "dbStats", "find", "changeStream", "listCollections", "listIndexes"}
	write := append([]string{"insert", "update", "remove", "createCollection", "createIndex", "dropIndex", "collMod"}, look...)
	return []role{
		{Edge, database, append([]string{"validate"}, write...)},
		{Edge, database + mongodb.PrivateSuffix, append([]string{"validate"}, write...)},
		{Functions, database + mongodb.FunctionsSuffix, append([]string{"dropCollection", "renameCollectionSameDB"}, write...)},
		{ReadOnly, database, look},
		{ReadOnly, database + mongodb.FunctionsSuffix, look},
	}
}

// grant is a role by its name.
type grant struct {
	Role     string `bson:"role" json:"role"`
	Database string `bson:"db" json:"db"`
}

func grantsOf(database, user string) []grant {
	var all []grant
	for _, r := range rolesOf(database) {
		if r.name == user {
			all = append(all, grant{r.name, r.database})
		}
	}
	return all
}

func without(grants, others []grant) []grant {
	return slices.DeleteFunc(slices.Clone(grants), func(g grant) bool { return slices.Contains(others, g) })
}

func names(grants []grant) string {
	var all []string
	for _, g := range grants {
		all = append(all, g.Role+" in "+g.Database)
	}
	return strings.Join(all, ", ")
}

func inShell(grants []grant) string {
	text, _ := json.Marshal(grants) // strings alone: it can't fail
	return string(text)
}

// privilege is as rolesInfo returns it.
type privilege struct {
	Resource struct {
		Database   string  `bson:"db"`
		Collection *string `bson:"collection"`
	} `bson:"resource"`
	Actions []string `bson:"actions"`
}

// ensureRole creates a role, or makes it what it should be.
func (s *server) ensureRole(ctx context.Context, r role) (created bool, err error) {
	var found struct {
		Roles []struct {
			Privileges []privilege `bson:"privileges"`
			Inherited  []grant     `bson:"roles"`
		} `bson:"roles"`
	}
	err = s.run(ctx, r.database, bson.D{{Key: "rolesInfo", Value: grant{r.name, r.database}}, {Key: "showPrivileges", Value: true}}, &found)
	if err != nil {
		return false, err
	}
	command := "createRole"
	if len(found.Roles) > 0 {
		if is := found.Roles[0]; len(is.Inherited) == 0 && len(is.Privileges) == 1 && r.isIn(is.Privileges[0]) {
			return false, nil
		}
		command = "updateRole"
	}
	resource := bson.D{{Key: "db", Value: r.database}, {Key: "collection", Value: ""}} // "": all but those of the system
	return command == "createRole", s.write(ctx, r.database, bson.D{
		{Key: command, Value: r.name},
		{Key: "privileges", Value: bson.A{bson.D{{Key: "resource", Value: resource}, {Key: "actions", Value: r.actions}}}},
		{Key: "roles", Value: bson.A{}},
	})
}

// isIn reports whether a privilege is all that the role should have.
func (r role) isIn(p privilege) bool {
	return p.Resource.Database == r.database && p.Resource.Collection != nil && *p.Resource.Collection == "" &&
		slices.Equal(slices.Sorted(slices.Values(p.Actions)), slices.Sorted(slices.Values(r.actions)))
}

func (s *server) rolesOfUser(ctx context.Context, u User) (roles []grant, found bool, err error) {
	var users struct {
		Users []struct {
			Roles []grant `bson:"roles"`
		} `bson:"users"`
	}
	who := bson.D{{Key: "user", Value: u.Login}, {Key: "db", Value: u.Source}}
	if err := s.run(ctx, u.Source, bson.D{{Key: "usersInfo", Value: who}}, &users); err != nil || len(users.Users) == 0 {
		return nil, false, err
	}
	return users.Users[0].Roles, true, nil
}

// mechanisms leave out SCRAM-SHA-1, which is there for drivers older than MongoDB 4.0.
func mechanisms() bson.E { return bson.E{Key: "mechanisms", Value: bson.A{"SCRAM-SHA-256"}} }

func (s *server) createUser(ctx context.Context, u User, roles []grant) error {
	command := bson.D{{Key: "createUser", Value: u.Login}, {Key: "roles", Value: roles}}
	if !u.ByCertificate() {
		command = append(command, bson.E{Key: "pwd", Value: u.Password}, mechanisms())
	}
	return s.write(ctx, u.Source, command)
}

func (s *server) grant(ctx context.Context, u User, roles []grant) error {
	if len(roles) == 0 {
		return nil
	}
	return s.write(ctx, u.Source, bson.D{{Key: "grantRolesToUser", Value: u.Login}, {Key: "roles", Value: roles}})
}

func (s *server) setPassword(ctx context.Context, u User) error {
	return s.write(ctx, u.Source, bson.D{{Key: "updateUser", Value: u.Login}, {Key: "pwd", Value: u.Password}, mechanisms()})
}
