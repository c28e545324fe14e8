//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const strapiVersion = "5.54.0"

// strapiPackage pins the Strapi that targets are about. The packages of React are what its own ask for; nothing of its admin panel is served.
const strapiPackage = `{"name": "bench", "private": true, "version": "0.0.0", "dependencies": {
 "@strapi/strapi": "` + strapiVersion + `", "@strapi/plugin-users-permissions": "` + strapiVersion + `", "better-sqlite3": "12.8.0",
 "react": "18.3.1", "react-dom": "18.3.1", "react-router-dom": "6.30.6", "styled-components": "6.6.0"}}
`

// strapiFiles are a Strapi in production mode on SQLite, without its log of requests, as access logs are off everywhere, and with visitors who may write.
func strapiFiles() map[string]string {
	files := map[string]string{
		"package.json": strapiPackage,
		"config/admin.js": `module.exports = () => ({ serveAdminPanel: false, auth: { secret: 'bench', sessions: {} }, apiToken: { salt: 'bench', secrets: { encryptionKey: 'bench' } },
  transfer: { token: { salt: 'bench' } }, secrets: { encryptionKey: 'bench' }, flags: { nps: false, promoteEE: false } });
`,
		"config/api.js":         "module.exports = { rest: { defaultLimit: 25, maxLimit: 100, withCount: true } };\n",
		"config/database.js":    "module.exports = () => ({ connection: { client: 'sqlite', connection: { filename: process.cwd() + '/data.db' }, useNullAsDefault: true } });\n",
		"config/middlewares.js": "module.exports = ['errors', 'security', 'cors', 'poweredBy', 'query', 'body', 'session', 'favicon', 'public'].map((name) => 'strapi::' + name);\n",
		"config/plugins.js":     "module.exports = () => ({ 'users-permissions': { config: { jwtSecret: 'bench' } } });\n",
		"config/server.js":      "module.exports = ({ env }) => ({ host: '127.0.0.1', port: env.int('PORT'), app: { keys: ['bench'] }, logger: { updates: { enabled: false } } });\n",
		"src/index.js": `module.exports = { register() {}, async bootstrap({ strapi }) {
  const role = await strapi.db.query('plugin::users-permissions.role').findOne({ where: { type: 'public' } });
  const permissions = strapi.db.query('plugin::users-permissions.permission');
  for (const type of ['article', 'note', 'tag']) for (const verb of ['find', 'findOne', 'create']) {
    const action = ` + "`api::${type}.${type}.${verb}`" + `;
    if (!await permissions.findOne({ where: { action, role: role.id } })) await permissions.create({ data: { action, role: role.id } });
  }
} };
`,
		"public/uploads/.gitkeep": "", "database/migrations/.gitkeep": "",
	}
	for name, text := range contentTypes(false) {
		folder := "src/api/" + name + "/"
		files[folder+"content-types/"+name+"/schema.json"] = text
		for part, made := range map[string]string{"controllers": "Controller", "routes": "Router", "services": "Service"} {
			files[folder+part+"/"+name+".js"] = fmt.Sprintf("module.exports = require('@strapi/strapi').factories.createCore%s('api::%s.%s');\n", made, name, name)
		}
	}
	return files
}

func writeFiles(folder string, files map[string]string) error {
	for name, text := range files {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) strapiBackend(ctx context.Context, folder string) (*backend, error) {
	modules, node, err := b.findStrapi(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writeFiles(folder, strapiFiles()), os.Symlink(modules, filepath.Join(folder, "node_modules"))); err != nil {
		return nil, err
	}
	s := &backend{
		name: nameStrapi, port: ports[0], ready: "/api/tags", wrap: true, list: strapiList, published: strapiArticle, plain: strapiNote,
		program: program{args: []string{node, "node_modules/@strapi/strapi/bin/strapi.js", "start"}, folder: folder, env: []string{
			"CI=true", "NODE_ENV=production", "STRAPI_TELEMETRY_DISABLED=true", "STRAPI_DISABLE_UPDATE_NOTIFICATION=true", "PORT=" + strconv.Itoa(ports[0]),
		}},
	}
	return b.serve(ctx, s, fillStrapi)
}

// findStrapi is the folder of Strapi's modules, which npm installs into the user's cache once, and the Node.js that they are for.
func (b *bench) findStrapi(ctx context.Context) (modules, node string, err error) {
	node, err1 := exec.LookPath("node")
	npm, err2 := exec.LookPath("npm")
	if errors.Join(err1, err2) != nil {
		return "", "", errors.New("it needs Node.js 20 or later, with npm: apt-get install nodejs npm")
	}
	if node, err = filepath.EvalSymlinks(node); err != nil {
		return "", "", err
	}
	folder, err := cached(fmt.Sprintf("bench-strapi-%s-%.4x", strapiVersion, sha256.Sum256([]byte(strapiPackage))), func(folder string) error {
		fmt.Fprintln(b.log, "installing Strapi", strapiVersion, "by npm into your cache folder (minutes, once)")
		if err := writeFiles(folder, map[string]string{"package.json": strapiPackage}); err != nil {
			return err
		}
		env := []string{"npm_config_update_notifier=false", "npm_config_fund=false", "npm_config_audit=false"}
		if headers := filepath.Dir(filepath.Dir(node)); there(filepath.Join(headers, "include", "node", "node.h")) {
			env = append(env, "npm_config_nodedir="+headers) // or node-gyp would fetch them
		}
		// Of all scripts of packages only the one that compiles SQLite is needed.
		for _, args := range [][]string{{npm, "install", "--ignore-scripts"}, {npm, "rebuild", "better-sqlite3", "--build-from-source"}} {
			if _, err := output(ctx, 20*time.Minute, program{args: args, folder: folder, env: env, cores: &b.cores.all}); err != nil {
				return fmt.Errorf("%s: %w", strings.Join(args[1:3], " "), err)
			}
		}
		return nil
	})
	return filepath.Join(folder, "node_modules"), node, err
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// cached is a folder of the user's cache that fill has filled once. One that is not full has another name, so that a run that is interrupted leaves nothing that is
// taken for whole.
func cached(name string, fill func(folder string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	whole := filepath.Join(cache, "onehost-edge", name)
	if there(whole) {
		return whole, nil
	}
	if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(filepath.Dir(whole), name+".part-")
	if err != nil {
		return "", err
	}
	if err := fill(part); err != nil {
		return "", errors.Join(err, os.RemoveAll(part))
	}
	if err := os.Rename(part, whole); err != nil && !there(whole) { // or another run was quicker
		return "", errors.Join(err, os.RemoveAll(part))
	}
	return whole, os.RemoveAll(part)
}
