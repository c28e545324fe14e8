package access

import (
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/schema"
)

// An Enabled says whether an action is permitted, as Strapi's list of permissions has it.
type Enabled struct {
	Enabled bool   `json:"enabled"`
	Policy  string `json:"policy"` // always ""
}

// A Controller is its actions.
type Controller map[string]Enabled

// A Plugin is an api, or a plugin of Strapi's, with its controllers.
type Plugin struct {
	Controllers map[string]Controller `json:"controllers"`
}

// Tree is what a role may do, of all that there is here, as GET /users-permissions/roles/ID shows it. Of role "" it is nothing, as GET
// /users-permissions/permissions has it.
func (p *Policy) Tree(role string) map[string]Plugin {
	all := p.roles[role]
	if role != "" && all == nil {
		all = p.least
	}
	tree := map[string]Plugin{}
	put := func(plugin, controller, shown string, one permit) {
		if tree[plugin].Controllers == nil {
			tree[plugin] = Plugin{Controllers: map[string]Controller{}}
		}
		of := tree[plugin].Controllers
		if of[controller] == nil {
			of[controller] = Controller{}
		}
		of[controller][shown] = Enabled{Enabled: all[one]}
	}
	for _, t := range p.set.Types() {
		plugin, controller, _ := strings.Cut(t.UID, ".")
		if t.UID == schema.FileUID {
			controller = "content-api"
		}
		for _, a := range actions(t) {
			put(plugin, controller, shown(t, a), permit{t.Name, string(a)})
		}
	}
	for feature, actions := range features {
		for _, action := range actions {
			put("plugin::users-permissions", feature, action, permit{feature, action})
		}
	}
	return tree
}

// shown is what Strapi calls an action.
func shown(t *schema.Type, a Action) string {
	switch {
	case t.UID == schema.FileUID && a == Create:
		return "upload"
	case t.Builtin && a == Delete:
		return "destroy"
	}
	return string(a)
}

// types are the names of the types that can be written of, for messages.
func (p *Policy) types() []string {
	return slices.DeleteFunc(p.subjects(), func(name string) bool { return features[name] != nil })
}
