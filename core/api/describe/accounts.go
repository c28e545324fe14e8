package describe

import (
	"strings"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/schema"
)

// accounts adds the paths of logins.
func (d *document) accounts() {
	session := record(object{"jwt": text(), "user": ref("User")}, "user")
	session["description"] = "Without jwt, the address of the account has to be confirmed first."
	renewed := record(object{"jwt": text()}, "jwt")
	if d.refresh {
		session["properties"].(object)["refreshToken"], renewed["properties"].(object)["refreshToken"] = text(), text()
	}
	d.schemas["Session"] = session
	done := record(object{"ok": object{"type": "boolean"}}, "ok")
	post := func(path, id, action, summary string, in, out object) {
		d.paths[path] = object{"post": operation("Accounts", id, summary, takes(in), answers("200", out, "TooLarge", "TooMany"), d.allows(action))}
	}
	post("/auth/local", "login", "callback", "Log in", texts("identifier", "password"), ref("Session"))
	post("/auth/local/register", "register", "register", "Make an account", strict(texts("username", "email", "password")), ref("Session"))
	post("/auth/forgot-password", "forgotPassword", "forgotPassword", "Have a mail sent that leads to a new password", texts("email"), done)
	post("/auth/reset-password", "resetPassword", "resetPassword", "Set a new password with the code of the mail", texts("code", "password", "passwordConfirmation"), ref("Session"))
	post("/auth/change-password", "changePassword", "changePassword", "Change the password; other sessions end", texts("currentPassword", "password", "passwordConfirmation"), ref("Session"))
	post("/auth/send-email-confirmation", "sendEmailConfirmation", "sendEmailConfirmation", "Have the mail sent again that confirms an address", texts("email"),
		record(object{"email": text(), "sent": object{"type": "boolean"}}, "email", "sent"))
	confirm := operation("Accounts", "confirmEmail", "Confirm an address", or(answers("200", nil), "302", "To the page that the configuration names."), d.allows("emailConfirmation"))
	confirm["parameters"] = []object{{"name": "confirmation", "in": "query", "required": true, "description": "The code of the mail.", "schema": object{"type": "string", "minLength": 1}}}
	confirm["responses"].(object)["200"].(object)["content"] = object{"text/plain": object{"schema": text()}}
	d.paths["/auth/email-confirmation"] = object{"get": confirm}
	logout := record(object{"deviceId": text(), "scope": object{"enum": []string{"all"}}})
	post("/auth/logout", "logout", "logout", "End the session, those of a device, or all", logout, done)
	if d.refresh {
		post("/auth/refresh", "refresh", "refresh", "Renew a token", texts("refreshToken"), renewed)
		d.sessions()
	}
}

// sessions adds the paths of what somebody is logged in with.
func (d *document) sessions() {
	one := record(object{
		"id": text(), "deviceId": text(), "deviceName": text(), "current": object{"type": "boolean"}, "loginAt": moment(), "lastActiveAt": moment(),
	}, "id", "current", "loginAt", "lastActiveAt")
	all := record(object{"data": list(one)}, "data")
	d.paths["/auth/sessions"] = object{"get": operation("Accounts", "listSessions", "List the sessions of who has logged in", answers("200", all), d.allows("logout"))}
	end := operation("Accounts", "endSession", "End a session", answers("200", record(object{"data": object{"type": "object"}}, "data"), "NotFound"), d.allows("logout"))
	end["parameters"] = []object{{"name": "id", "in": "path", "required": true, "schema": text()}}
	d.paths["/auth/sessions/{id}"] = object{"delete": end}
}

// users adds the paths of accounts and roles. They are shown bare.
func (d *document) users() {
	t, role := d.set.UID(schema.UserUID), d.set.UID(schema.RoleUID)
	properties, _ := inputs(t.Attributes)
	delete(properties, "provider") // which nobody sets
	properties["password"] = object{"type": "string", "format": "password", "minLength": 6, "maxLength": 72}
	properties["role"] = ref("Reference")
	d.inputs("User", properties, []string{"username", "email", "password", "role"})
	user, shape := ref("User"), d.shape(t)
	const none = "There is none."
	change := func(id, summary string) object {
		return operation("Accounts", id, summary, takes(ref("UserChanges")), answers("200", user, "NotFound", "Conflict", "Changed", "TooLarge"), d.may(t, access.Update))
	}
	d.paths["/users"] = object{
		"get":  operation("Accounts", "listUsers", "List accounts", asked(append(shape, "UserFilters", "UserSort", "start", "limit")...), answers("200", list(user)), d.may(t, access.Find)),
		"post": operation("Accounts", "createUser", "Make an account for somebody", takes(ref("UserInput")), answers("201", user, "Conflict", "TooLarge"), d.may(t, access.Create)),
	}
	d.paths["/users/count"] = object{"get": operation("Accounts", "countUsers", "Count accounts", asked("UserFilters"), answers("200", object{"type": "integer"}), d.may(t, access.Count))}
	d.paths["/users/me"] = object{
		"get": operation("Accounts", "me", "Who has logged in", asked(shape...), answers("200", user, "NotFound"), d.may(t, access.Me)),
		"put": change("updateMe", "Change one's own account"),
	}
	d.paths["/users/{id}"] = object{
		"parameters": parameters("number"),
		"get":        operation("Accounts", "getUser", "Get an account", asked(shape...), or(answers("200", user), "204", none), d.may(t, access.FindOne)),
		"put":        change("updateUser", "Change an account"),
		"delete":     operation("Accounts", "deleteUser", "Delete an account", or(answers("200", user, "Conflict"), "204", none), d.may(t, access.Delete)),
	}
	d.paths["/users-permissions/roles"] = object{"get": operation("Accounts", "listRoles", "List roles", answers("200", record(object{"roles": list(ref("Role"))}, "roles")), d.may(role, access.Find))}
	d.paths["/users-permissions/roles/{id}"] = object{
		"parameters": parameters("number"),
		"get":        operation("Accounts", "getRole", "Get a role, with what it may do", answers("200", record(object{"role": ref("Role")}, "role"), "NotFound"), d.may(role, access.FindOne)),
	}
}

// files adds the paths of uploads.
func (d *document) files() {
	t, file := d.set.UID(schema.FileUID), ref("File")
	send := operation("Files", "upload", "Send files", answers("201", list(file), "NotFound", "Conflict", "TooLarge", "Full"), d.may(t, access.Create))
	send["requestBody"] = object{"required": true, "content": object{"multipart/form-data": object{"schema": record(object{
		"files":    list(object{"type": "string", "format": "binary"}),
		"fileInfo": object{"type": "string", "description": "JSON: {name, alternativeText, caption}, or a list of these, in the order of the files."},
	})}}}
	send["responses"].(object)["200"] = object{"description": "A file was changed (?id=).", "content": body(file)}
	send["parameters"] = []object{asks("id", "The file that is changed: what fileInfo says of it, or another file in its place.", object{"type": "integer"})}
	d.paths["/upload"] = object{"post": send}
	shape := d.shape(t)
	d.paths["/upload/files"] = object{
		"get": operation("Files", "listFiles", "List files", asked(append(shape, "FileFilters", "FileSort", "start", "limit", "ifNoneMatch")...), kept(answers("200", list(file))), d.may(t, access.Find)),
	}
	d.paths["/upload/files/{id}"] = object{
		"parameters": parameters("number"),
		"get":        operation("Files", "getFile", "Get what is known of a file", asked(append(shape, "ifNoneMatch")...), kept(answers("200", file, "NotFound")), d.may(t, access.FindOne)),
		"delete":     operation("Files", "deleteFile", "Delete a file", answers("200", file, "NotFound", "Conflict"), d.may(t, access.Delete)),
	}
}

// texts is a schema of an object with these texts, all of them needed.
func texts(names ...string) object {
	properties := object{}
	for _, name := range names {
		one := object{"type": "string", "minLength": 1}
		switch {
		case name == "email":
			one["format"] = "email"
		case name == "username":
			one["minLength"], one["maxLength"] = 3, 255
		case strings.HasPrefix(name, "password"):
			one["format"], one["minLength"], one["maxLength"] = "password", 6, 72
		}
		properties[name] = one
	}
	return record(properties, names...)
}
