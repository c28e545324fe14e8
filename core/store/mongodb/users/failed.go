package users

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/onehost/edge/core/fault"
)

// Codes of the server's errors (src/mongo/base/error_codes.yml of MongoDB), and the one that Atlas has for all its own.
const (
	codeUnauthorized        = 13
	codeAuthenticationFails = 18
	codeAtlas               = 8000
)

// failed says what a person has to do about an error of the driver.
func (s *server) failed(database, command string, err error) error {
	if err == nil {
		return nil
	}
	var code int32
	if answer, ok := errors.AsType[mongo.CommandError](err); ok {
		code = answer.Code
	}
	_, refusedLogin := errors.AsType[*auth.Error](err)
	_, notSelected := errors.AsType[topology.ServerSelectionError](err)
	switch {
	case refusedLogin && isTimeout(err), notSelected:
		return s.unreachable()
	case refusedLogin || code == codeAuthenticationFails:
		return s.refused(err)
	case code == codeAtlas || s.isAtlas() && code == codeUnauthorized:
		return s.atlas(command)
	case code == codeUnauthorized:
		return s.unauthorized(database, command, err)
	case isTimeout(err) || mongo.IsNetworkError(err):
		return fmt.Errorf("%s in the database %s: %s: %w", command, database, s.scrub(err.Error()), fault.Unavailable)
	}
	return fmt.Errorf("%s in the database %s: %s", command, database, s.scrub(err.Error()))
}

// refused is about a login.
func (s *server) refused(err error) error {
	if s.user == "" {
		return fmt.Errorf("the MongoDB at %s does not let the admin in: %s", s.hosts, s.scrub(err.Error()))
	}
	source := cmp.Or(s.source, "admin")
	hint := ""
	if source != "admin" {
		hint = "; if the admin is known in the database admin, write authSource=admin into the URI"
	}
	return fmt.Errorf("the MongoDB at %s does not accept the admin %q with this password, as a user of the database %s%s", s.hosts, s.user, source, hint)
}

func (s *server) unauthorized(database, command string, err error) error {
	if strings.Contains(err.Error(), "requires authentication") {
		return fmt.Errorf("the MongoDB at %s asks for a user, and the admin's URI has none: write mongodb://USER:PASSWORD@HOST/?authSource=admin; where there is no user yet, make the first one on that machine: %s",
			s.hosts, `mongosh admin --eval 'db.createUser({user: "admin", pwd: passwordPrompt(), roles: ["root"]})'`)
	}
	return fmt.Errorf("the admin %q lacks the right to %s in the database %s: it needs the role userAdminAnyDatabase, which somebody who has it gives in mongosh: db.getSiblingDB(%q).grantRolesToUser(%q, [{role: \"userAdminAnyDatabase\", db: \"admin\"}])",
		s.user, command, database, cmp.Or(s.source, "admin"), s.user)
}

func (s *server) isAtlas() bool { return strings.Contains(s.hosts, ".mongodb.net") }

var capital = regexp.MustCompile(`[A-Z]+`)

// atlas says how to make the same by hand. https://www.mongodb.com/docs/atlas/cli/current/command/atlas-customDbRoles-create/
func (s *server) atlas(command string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is MongoDB Atlas, which refuses %s: there, roles and users are made in its console (Database & Network Access: Custom Roles, then Database Users), or with its CLI:\n\n  umask 077\n", s.hosts, command)
	for _, name := range Names() {
		var rights []string
		for _, r := range rolesOf(s.database) {
			if r.name != name {
				continue
			}
			for _, action := range r.actions {
				action = capital.ReplaceAllStringFunc(action, func(c string) string { return "_" + c })
				rights = append(rights, strings.ToUpper(action)+"@"+r.database)
			}
		}
		own := s.database + "-" + name
		fmt.Fprintf(&b, "  atlas customDbRoles create %s --privilege %s\n", own, strings.Join(rights, ","))
		fmt.Fprintf(&b, "  atlas dbusers create --username %s --role %s@admin --password \"$(openssl rand -hex 24 | tee %s.password)\"\n", own, own, own)
	}
	fmt.Fprintf(&b, "\nThe passwords are then in files in this folder. In edge.yaml the store is mongodb+srv://%s-edge:PASSWORD@HOST/%s, with HOST as Atlas shows it under Connect, and a key of 32 bytes (openssl rand -base64 32)", s.database, s.database)
	return errors.New(b.String())
}
