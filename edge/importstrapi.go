package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/api/strapi"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

// taken is what has become of a Strapi's data.
type taken struct {
	Schemas     []string                          `json:"schemas"` // files of content types that were written
	Types       map[string]map[strapi.Outcome]int `json:"types"`   // by type, what has become of the versions of its entries
	Refused     []string                          `json:"refused"` // entries that could not be taken over, and why
	Files       map[string]int                    `json:"files"`   // copied, same, missing
	Left        []strapi.Problem                  `json:"left"`
	Locales     []string                          `json:"locales"`     // for edge.yaml; none if no type is localized
	Permissions string                            `json:"permissions"` // for edge.yaml
}

// maxRefused bounds how many refused entries are told one by one.
const maxRefused = 50

func (c *cli) importCommand() *cobra.Command {
	parent := &cobra.Command{
		Use:     "import",
		Short:   "take over what another system has",
		Example: "  edge api import strapi ../cms",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	var dry bool
	command := c.jsonFlag(&cobra.Command{
		Use:   "strapi PATH",
		Short: "take over a Strapi 5: content types, entries, users, files",
		Long: `strapi reads a Strapi 5 on SQLite, a project's folder or its database file, and has the running
server take over what is there. Content types that are missing below api.schemas are written
there, and the server reloads; entries keep their ids, drafts and languages; users log in with
the passwords that they have. Nothing of Strapi's is changed. It may be run again: what has
changed there since is taken over, what has changed here stays. In the end it prints what was
left behind, and what edge.yaml needs: permissions, and languages.`,
		Example: "  edge api import strapi ../cms\n  edge api import strapi ../cms/.tmp/data.db --dry-run",
		Args:    exactly("PATH"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.importStrapi(command.Context(), args[0], dry)
		},
	})
	command.Flags().BoolVar(&dry, "dry-run", false, "only say what there is")
	parent.AddCommand(command)
	return parent
}

func (c *cli) importStrapi(ctx context.Context, path string, dry bool) error {
	source, err := strapi.Open(path)
	if err != nil {
		return err
	}
	defer source.Close()
	done := taken{Schemas: []string{}, Types: map[string]map[strapi.Outcome]int{}, Refused: []string{}, Files: map[string]int{}, Locales: []string{}}
	if done.Left, err = source.Left(ctx); err != nil {
		return err
	}
	permissions, err := source.Permissions(ctx)
	if err != nil {
		return err
	}
	done.Permissions = string(permissions)
	theirs, _, _, err := source.Types(ctx)
	if err != nil {
		return err
	}
	if localized(theirs) {
		done.Locales = theirs.Locales()
	}
	if dry {
		return c.showSource(ctx, source, done)
	}
	if err := c.bringTypes(ctx, source, &done); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := c.bringEntries(ctx, client, source, &done); err != nil {
		return err
	}
	if err := c.bringFiles(ctx, client, source, &done); err != nil {
		return err
	}
	return c.showTaken(done)
}

// bringTypes writes the files of content types that are missing, and has the server take them into service. It changes no file.
func (c *cli) bringTypes(ctx context.Context, source *strapi.Source, done *taken) error {
	cfg, set, err := c.contentTypes()
	if err != nil {
		return err
	}
	theirs, files, _, err := source.Types(ctx)
	if err != nil {
		return err
	}
	if foreign := without(done.Locales, set.Locales()); len(foreign) > 0 {
		return fmt.Errorf("the Strapi has entries in %s, and api.locales is %s: write locales: [%s] below api in edge.yaml, reload, and run this again",
			strings.Join(foreign, ", "), strings.Join(set.Locales(), ", "), strings.Join(slices.Concat(set.Locales(), foreign), ", "))
	}
	var missing []string
	for _, t := range theirs.Types() {
		if set.UID(t.UID) == nil {
			missing = append(missing, t.Name)
		}
	}
	for _, component := range theirs.Components() {
		if set.Component(component.UID) == nil {
			missing = append(missing, component.UID)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		to := filepath.Join(cfg.API.Schemas, filepath.FromSlash(name))
		switch there, err := os.ReadFile(to); {
		case err == nil && bytes.Equal(there, files[name]):
			continue
		case err == nil:
			return fmt.Errorf("%s is there, and says something else than Strapi: the content types %s are missing. Merge the two, or move the file away, and run this again", to, strings.Join(missing, ", "))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, files[name], 0o644); err != nil { //nolint:gosec // as readable as the configuration
			return err
		}
		done.Schemas = append(done.Schemas, to)
	}
	if len(done.Schemas) == 0 {
		return fmt.Errorf("the content types %s are missing below %s: a file there that is theirs says something else", strings.Join(missing, ", "), cfg.API.Schemas)
	}
	fmt.Fprintf(c.err, "%s written below %s; reloading\n", count(len(done.Schemas), "file of content types|files of content types"), cfg.API.Schemas)
	return c.takeTypes(ctx)
}

// takeTypes has the server read its content types again.
func (c *cli) takeTypes(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	outcome, err := client.Reload(ctx)
	if err == nil && !outcome.Applied {
		err = &invalidConfig{outcome.Problems}
	}
	return err
}

func localized(set *schema.Set) bool {
	return slices.ContainsFunc(set.Types(), func(t *schema.Type) bool { return t.Localized })
}

// without are those of all that are not among some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}

// bringEntries sends all records, and counts what becomes of them.
func (c *cli) bringEntries(ctx context.Context, client *admin.Client, source *strapi.Source, done *taken) error {
	counts, err := source.Count(ctx)
	if err != nil {
		return err
	}
	total, brought := 0, 0
	for _, n := range counts {
		total += n
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var waiting lined
	read, write := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := sendRecords(ctx, source, write, &waiting)
		write.CloseWithError(err)
		sent <- err
	}()
	stop := c.progressing(func() string { return fmt.Sprintf("%d of %d versions of entries", waiting.done(), total) })
	err = client.Import(ctx, read, func(results []strapi.Result) {
		for _, r := range results {
			about := waiting.next()
			if done.Types[about.kind] == nil {
				done.Types[about.kind] = map[strapi.Outcome]int{}
			}
			done.Types[about.kind][r.Outcome]++
			if r.Outcome == strapi.Refused && len(done.Refused) < maxRefused {
				done.Refused = append(done.Refused, r.Why)
			}
			brought++
		}
	})
	read.CloseWithError(io.ErrClosedPipe)
	cancel()
	stop()
	if failed := <-sent; err == nil && failed != nil {
		return failed
	}
	if err == nil && brought < total {
		return fmt.Errorf("only %d of %d versions of entries were taken over: run this again", brought, total)
	}
	return err
}

func sendRecords(ctx context.Context, source *strapi.Source, to io.Writer, waiting *lined) error {
	for r, err := range source.Records(ctx) {
		if err != nil {
			return err
		}
		line, err := r.Encode()
		if err != nil {
			return err
		}
		waiting.add(record{r.Type, r.Document})
		if _, err := to.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// bringFiles sends the uploaded files.
func (c *cli) bringFiles(ctx context.Context, client *admin.Client, source *strapi.Source, done *taken) error {
	stop := c.progressing(func() string { return "files" })
	defer stop()
	for f, err := range source.Files(ctx) {
		if errors.Is(err, fs.ErrNotExist) {
			done.Files["missing"]++
			continue
		}
		if err != nil {
			return err
		}
		kept, err := sendFile(ctx, client, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if kept {
			done.Files["copied"]++
		} else {
			done.Files["same"]++
		}
	}
	return nil
}

func sendFile(ctx context.Context, client *admin.Client, f strapi.File) (bool, error) {
	content, err := f.Open()
	if err != nil {
		return false, err
	}
	defer content.Close()
	return client.ImportFile(ctx, f.Name, f.Size, content)
}

// showSource says what there is to take over.
func (c *cli) showSource(ctx context.Context, source *strapi.Source, done taken) error {
	counts, err := source.Count(ctx)
	if err != nil {
		return err
	}
	for name, n := range counts {
		done.Types[name] = map[strapi.Outcome]int{"found": n}
	}
	if c.json {
		return c.printJSON(done)
	}
	t := new(table)
	t.head("TYPE", "VERSIONS OF ENTRIES")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		t.row(plain("%s", name), plain("%d", counts[name]))
	}
	t.print(c.out)
	c.showRest(done)
	return nil
}

// showTaken says what has become of everything.
func (c *cli) showTaken(done taken) error {
	if c.json {
		if err := c.printJSON(done); err != nil {
			return err
		}
	} else {
		t := new(table)
		t.head("TYPE", "CREATED", "CHANGED", "SAME", "KEPT", "REFUSED")
		for _, name := range slices.Sorted(maps.Keys(done.Types)) {
			n := done.Types[name]
			t.row(plain("%s", name), plain("%d", n[strapi.Created]), plain("%d", n[strapi.Changed]), plain("%d", n[strapi.Same]), plain("%d", n[strapi.Kept]), plain("%d", n[strapi.Refused]))
		}
		t.print(c.out)
		fmt.Fprintf(c.out, "\nfiles: %d copied, %d the same, %d missing\n", done.Files["copied"], done.Files["same"], done.Files["missing"])
		for _, line := range done.Refused {
			fmt.Fprintln(c.out, "refused:", printable(line, 300))
		}
		c.showRest(done)
	}
	if len(done.Refused) > 0 {
		return errors.New("not everything could be taken over")
	}
	return nil
}

func (c *cli) showRest(done taken) {
	if len(done.Left) > 0 {
		fmt.Fprintln(c.out, "\nleft behind:")
		for _, p := range done.Left {
			fmt.Fprintln(c.out, "  "+printable(p.String(), 300))
		}
	}
	fmt.Fprint(c.out, "\nfor edge.yaml:\n\napi:\n")
	if len(done.Locales) > 0 {
		fmt.Fprintf(c.out, "  locales: [%s]\n", strings.Join(done.Locales, ", "))
	}
	for line := range strings.Lines(done.Permissions) {
		fmt.Fprint(c.out, "  "+line)
	}
}
