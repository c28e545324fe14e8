package describe

// accounts adds the paths of users, their logins and roles.
func (d *document) accounts(refresh bool) {
	session := object{"type": "object", "required": []string{"jwt", "user"}, "properties": object{"jwt": object{"type": "string"}, "user": ref("User")}}
	if refresh {
		session["properties"].(object)["refreshToken"] = object{"type": "string"}
	}
	done := object{"type": "object", "properties": object{"ok": object{"type": "boolean"}}}
	post := func(path, id, summary string, in, out object) {
		d.paths[path] = object{"post": operation("Accounts", id, summary, takes(in), answers("200", out))}
	}
	post("/auth/local", "login", "Log in", texts("identifier", "password"), session)
	post("/auth/local/register", "register", "Make an account", texts("username", "email", "password"), session)
	post("/auth/forgot-password", "forgotPassword", "Have a mail sent that leads to a new password", texts("email"), done)
	post("/auth/reset-password", "resetPassword", "Set a new password with the code of the mail", texts("code", "password", "passwordConfirmation"), session)
	post("/auth/change-password", "changePassword", "Change the password; other sessions end", texts("currentPassword", "password", "passwordConfirmation"), session)
	post("/auth/send-email-confirmation", "sendEmailConfirmation", "Have the mail sent again that confirms an address", texts("email"), object{"type": "object"})
	confirm := operation("Accounts", "confirmEmail", "Confirm an address", answers("200", object{}))
	confirm["parameters"] = []object{{"name": "confirmation", "in": "query", "required": true, "schema": object{"type": "string"}}}
	confirm["responses"].(object)["302"] = object{"description": "To the page that the configuration names."}
	d.paths["/auth/email-confirmation"] = object{"get": confirm}
	if refresh {
		post("/auth/refresh", "refresh", "Renew a token", texts("refreshToken"), object{"type": "object", "properties": object{"jwt": object{"type": "string"}, "refreshToken": object{"type": "string"}}})
		post("/auth/logout", "logout", "End the session", object{"type": "object"}, done)
	}
	user := ref("User")
	d.paths["/users/me"] = object{"get": operation("Accounts", "me", "Who has logged in", asked("fields", "populate"), answers("200", user))}
	d.paths["/users"] = object{
		"get":  operation("Accounts", "listUsers", "List accounts", asked("filters", "sort", "fields", "populate"), answers("200", list(user))),
		"post": operation("Accounts", "createUser", "Make an account for somebody", takes(ref("UserInput")), answers("201", user)),
	}
	d.paths["/users/count"] = object{"get": operation("Accounts", "countUsers", "Count accounts", asked("filters"), answers("200", object{"type": "integer"}))}
	none := object{"description": "There is none."}
	get := operation("Accounts", "getUser", "Get an account", asked("fields", "populate"), answers("200", user))
	remove := operation("Accounts", "deleteUser", "Delete an account", answers("200", user))
	get["responses"].(object)["204"], remove["responses"].(object)["204"] = none, none
	d.paths["/users/{id}"] = object{
		"parameters": parameters("number"),
		"get":        get,
		"put":        operation("Accounts", "updateUser", "Change an account", takes(object{"type": "object"}), answers("200", user, "NotFound")),
		"delete":     remove,
	}
	d.paths["/users-permissions/roles"] = object{"get": operation("Accounts", "listRoles", "List roles", answers("200", object{"type": "object", "properties": object{"roles": list(ref("Role"))}}))}
}

// uploads adds the paths of files.
func (d *document) uploads() {
	file := ref("File")
	send := operation("Files", "upload", "Send files", answers("201", list(file), "TooLarge"))
	send["requestBody"] = object{"required": true, "content": object{"multipart/form-data": object{"schema": object{
		"type": "object", "required": []string{"files"},
		"properties": object{"files": list(object{"type": "string", "format": "binary"}), "fileInfo": object{"type": "string", "description": "JSON: {name, alternativeText, caption}, or a list of these."}},
	}}}}
	send["responses"].(object)["200"] = object{"description": "A file's data was changed (?id=).", "content": body(file)}
	send["parameters"] = []object{{"name": "id", "in": "query", "description": "The file whose data is changed.", "schema": object{"type": "integer"}}}
	d.paths["/upload"] = object{"post": send}
	d.paths["/upload/files"] = object{"get": operation("Files", "listFiles", "List files", asked("filters", "sort"), answers("200", list(file)))}
	d.paths["/upload/files/{id}"] = object{
		"parameters": parameters("number"),
		"get":        operation("Files", "getFile", "Get a file's data", answers("200", file, "NotFound")),
		"delete":     operation("Files", "deleteFile", "Delete a file", answers("200", file, "NotFound")),
	}
}
