package main

import (
	"errors"
	"fmt"

	"github.com/onehost/edge/core/config"
	"github.com/spf13/cobra"
)

func (c *cli) checkCommand() *cobra.Command {
	var schema bool
	command := &cobra.Command{
		Use:   "check",
		Short: "validate the configuration without changing anything",
		Long: `check reads the configuration as a start would and prints every problem as
FILE:LINE:COL: message, with its line. It exits with 2 when one is an error.`,
		Example: "  edge check -c edge.yaml\n  edge check --schema > edge.schema.json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			if schema {
				_, err := c.out.Write(append(config.Schema(), '\n'))
				return err
			}
			return c.check()
		},
	}
	command.Flags().BoolVar(&schema, "schema", false, "print a JSON Schema of the configuration, for editors")
	return c.jsonFlag(command)
}

func (c *cli) check() error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	cfg, problems, err := load(path)
	if c.json {
		if problems == nil {
			problems = []config.Problem{}
		}
		if printed := c.printJSON(problems); printed != nil {
			return printed
		}
		if errors.As(err, new(*invalidConfig)) {
			return &invalidConfig{} // they are printed
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := config.Format(c.err, problems); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s: good: %s\n", path, count(len(cfg.Hosts), "host"))
	return err
}
