package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/onehost/edge/web"
	"github.com/spf13/cobra"
)

//go:embed starter/edge.yaml
var starterConfig []byte

func (c *cli) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "write a commented edge.yaml that serves at once",
		Long: `init writes edge.yaml (or the FILE of -c) and, beside it, the folder site with a web
app to begin with. Nothing that exists is overwritten.`,
		Example: "  edge init && edge run",
		Args:    exactly(),
		RunE:    func(*cobra.Command, []string) error { return c.init() },
	}
}

func (c *cli) init() error {
	path := c.config
	if path == "" {
		path = "edge.yaml"
	}
	site := filepath.Join(filepath.Dir(path), "site")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := writeNew(path, starterConfig); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: move it away, or name another with -c FILE", path)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "wrote %s\n", path)
	switch err := os.Mkdir(site, 0o755); {
	case errors.Is(err, fs.ErrExist):
		fmt.Fprintf(c.out, "kept  %s as it is\n", site)
	case err != nil:
		return err
	default:
		if err := os.CopyFS(site, web.App()); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "wrote %s\n", site)
	}
	_, err := fmt.Fprintf(c.out, "\nNow `edge run -c %s`, and open https://localhost:8443\n", path)
	return err
}

// writeNew writes a file that must not exist.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
