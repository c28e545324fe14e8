package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

func (c *cli) formsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "forms",
		Short: "show what came by the forms, sort out spam, deliver again",
		Long: `forms shows for each form how many submissions wait for their function, are done, are
dead (their function refused them, or could not be reached for days) or are kept aside
as spam.`,
		Example: "  edge forms\n  edge forms list contact --state spam\n  edge forms ham 0199e2c4-…",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.forms(command.Context()) },
	})
	command.AddCommand(c.formsListCommand(), c.formsShowCommand(), c.formsExportCommand(),
		c.formsMarkCommand("spam", "keep a submission aside as spam: it is not delivered", "is spam"),
		c.formsMarkCommand("ham", "take a submission for no spam: it is delivered now", "is no spam: it is delivered as soon as its function takes it"),
		c.formsMarkCommand("resend", "deliver a submission again, or at once if it waits for a later attempt", "is delivered again"))
	return command
}

func (c *cli) formsListCommand() *cobra.Command {
	var f submissions.Filter
	var state, since string
	command := c.jsonFlag(&cobra.Command{
		Use:     "list FORM",
		Short:   "list what was sent with a form, the newest first",
		Example: "  edge forms list contact\n  edge forms list contact --state dead --since 24h --json",
		Args:    exactly("FORM"),
		RunE: func(command *cobra.Command, args []string) error {
			f.Form, f.State = args[0], submissions.State(state)
			switch f.State {
			case "", submissions.Pending, submissions.Done, submissions.Dead, submissions.Spam:
			default:
				return usage("--state is pending, done, dead or spam, and not %q", state)
			}
			if since != "" {
				last, err := config.ParseDuration(since)
				if err != nil {
					return usage("--since %q is no duration such as 24h or 7d", since)
				}
				f.Since = time.Now().Add(-last)
			}
			return c.listForm(command.Context(), f)
		},
	})
	command.Flags().StringVar(&state, "state", "", "only those in this `STATE`: pending, done, dead or spam")
	command.Flags().StringVar(&since, "since", "", "only those of this last `TIME`, such as 24h or 7d")
	command.Flags().IntVarP(&f.Limit, "limit", "n", 50, "how many at most, up to 500")
	return command
}

func (c *cli) formsShowCommand() *cobra.Command {
	var files string
	command := c.jsonFlag(&cobra.Command{
		Use:     "show ID",
		Short:   "show all of a submission, or write its files",
		Example: "  edge forms show 0199e2c4-…\n  edge forms show 0199e2c4-… --files ./sent",
		Args:    exactly("ID"),
		RunE: func(command *cobra.Command, args []string) error {
			if files != "" {
				return c.writeFiles(command.Context(), args[0], files)
			}
			return c.showSubmission(command.Context(), args[0])
		},
	})
	command.Flags().StringVar(&files, "files", "", "write the files that were sent into this `FOLDER`, which is made")
	return command
}

func (c *cli) formsExportCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "export FORM",
		Short: "print all that was sent with a form, the newest first: CSV, or with --json one object a line",
		Long: `export prints all submissions of a form but spam. In CSV a text that a spreadsheet would
take for a formula has a ' before it, control characters are left out, and the 100 fields
that are there most often have a column; all others are in the last one, as NAME: TEXT.`,
		Example: "  edge forms export contact > contact.csv\n  edge forms export contact --json | jq .fields",
		Args:    exactly("FORM"),
		RunE:    func(command *cobra.Command, args []string) error { return c.exportForm(command.Context(), args[0]) },
	})
}

func (c *cli) formsMarkCommand(mark, short, done string) *cobra.Command {
	return &cobra.Command{
		Use:     mark + " ID…",
		Short:   short,
		Example: fmt.Sprintf("  edge forms %s 0199e2c4-…\n  edge forms list contact --state dead --json | jq -r '.[].id' | xargs edge forms %[1]s", mark),
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, ids []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			var failed []error
			for _, id := range ids {
				ctx, cancel := context.WithTimeout(command.Context(), askTimeout)
				err := client.MarkSubmission(ctx, id, mark)
				cancel()
				if err != nil {
					failed = append(failed, err)
					continue
				}
				fmt.Fprintf(c.out, "%s %s\n", id, done)
			}
			return errors.Join(failed...)
		},
	}
}

func (c *cli) forms(ctx context.Context) error {
	all, err := ask(ctx, c, (*admin.Client).Forms)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("FORM", "PENDING", "DONE", "DEAD", "SPAM", "OLDEST PENDING")
	for _, f := range all {
		oldest, dead := cell{}, plain("%d", f.Dead)
		if !f.Oldest.IsZero() {
			oldest = plain("%s", ago(f.Oldest))
		}
		if f.Dead > 0 {
			dead.paint = red
		}
		t.row(plain("%s", f.Form), plain("%d", f.Pending), plain("%d", f.Done), dead, plain("%d", f.Spam), oldest)
	}
	t.print(c.out)
	return nil
}

func (c *cli) listForm(ctx context.Context, f submissions.Filter) error {
	found, err := askFor(ctx, c, (*admin.Client).Submissions, f)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(found)
	}
	t := new(table)
	t.head("ID", "SENT", "STATE", "FIELDS", "WHY")
	for _, s := range found {
		t.row(plain("%s", s.ID), plain("%s", ago(s.At)), submissionCell(s), plain("%s", oneLine(s.Fields)), plain("%s", why(s)))
	}
	t.print(c.out)
	return nil
}

func submissionCell(s admin.Submission) cell {
	paint := map[submissions.State]string{submissions.Done: green, submissions.Dead: red, submissions.Spam: yellow}
	return cell{string(s.State), paint[s.State]}
}

// why says why a submission is what it is.
func why(s admin.Submission) string {
	if s.Error != "" {
		return printable(s.Error, 120)
	}
	return printable(strings.Join(s.Reasons, ", "), 120)
}

// oneLine is what was sent, as far as it fits.
func oneLine(fields []admin.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Name + "=" + f.Value
	}
	return printable(strings.Join(parts, " "), 60)
}

// printable is text of strangers as a terminal may show it, most characters of it at most.
func printable(text string, most int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return ' '
		}
		return r
	}, text))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

func (c *cli) showSubmission(ctx context.Context, id string) error {
	s, err := askFor(ctx, c, (*admin.Client).Submission, id)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(s)
	}
	t := new(table)
	t.row(plain("submission"), plain("%s", s.ID))
	t.row(plain("form"), plain("%s", s.Form))
	t.row(plain("state"), submissionCell(s))
	for _, reason := range s.Reasons {
		t.row(plain("flagged"), plain("%s", printable(reason, 200)))
	}
	if s.Error != "" {
		t.row(plain("error"), plain("%s", printable(s.Error, 400)))
	}
	t.row(plain("sent"), plain("%s", s.At.Format(time.RFC3339)))
	t.row(plain("client"), plain("%s", s.Client))
	t.row(plain("page"), plain("%s", printable(s.Page, 200)))
	t.row(plain("request"), plain("%s", s.RequestID))
	t.row(plain("attempts"), plain("%d", s.Attempts))
	if s.State == submissions.Pending {
		t.row(plain("next"), plain("%s", s.Next.Format(time.RFC3339)))
	}
	for _, f := range s.Fields {
		t.row(plain("field %s", printable(f.Name, 64)), plain("%s", printable(f.Value, 2000)))
	}
	for _, f := range s.Files {
		t.row(plain("file %s", printable(f.Field, 64)), plain("%s, %s, %d bytes", printable(f.Name, 200), printable(f.Type, 100), f.Size))
	}
	t.print(c.out)
	return nil
}

// exportPage is how many submissions are asked for at once.
const exportPage = 200

// exportForm prints page after page, so that no form is too large.
func (c *cli) exportForm(ctx context.Context, form string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if c.json {
		lines := json.NewEncoder(c.out)
		return eachSubmission(ctx, client, form, func(s admin.Submission) error { return lines.Encode(s) })
	}
	names := newColumns()
	if err := eachSubmission(ctx, client, form, names.count); err != nil {
		return err
	}
	return exportCSV(names.header(), func(each func(admin.Submission) error) error {
		return eachSubmission(ctx, client, form, each)
	}, c.out)
}

// eachSubmission goes through all submissions of a form but spam.
func eachSubmission(ctx context.Context, client *admin.Client, form string, each func(admin.Submission) error) error {
	for f := (submissions.Filter{Form: form, Limit: exportPage}); ; {
		asked, cancel := context.WithTimeout(ctx, askTimeout)
		found, err := client.Submissions(asked, f)
		cancel()
		if err != nil || len(found) == 0 {
			return err
		}
		for _, s := range found {
			if s.State == submissions.Spam {
				continue
			}
			if err := each(s); err != nil {
				return err
			}
		}
		f.After = found[len(found)-1].ID
	}
}

// Forms returns how many submissions there are.
func (s *server) Forms(ctx context.Context) ([]submissions.Count, error) {
	return s.modules.submissions.Counts(ctx)
}

// Submissions returns those that a filter asks for.
func (s *server) Submissions(ctx context.Context, f submissions.Filter) ([]admin.Submission, error) {
	found, err := s.modules.submissions.List(ctx, f)
	if _, configured := s.generation().cfg.Forms[f.Form]; err == nil && len(found) == 0 && f.Form != "" && !configured {
		return nil, fmt.Errorf("there is no form %q: %w", f.Form, fault.NotFound)
	}
	shown := make([]admin.Submission, len(found))
	for i, sub := range found {
		shown[i] = admin.NewSubmission(sub)
	}
	return shown, err
}

// Submission returns one submission.
func (s *server) Submission(ctx context.Context, id string) (admin.Submission, error) {
	found, err := s.modules.submissions.Get(ctx, id)
	return admin.NewSubmission(found), err
}

// SubmissionEvent returns what a submission's function gets.
func (s *server) SubmissionEvent(ctx context.Context, id string) (json.RawMessage, error) {
	found, err := s.modules.submissions.Get(ctx, id)
	return found.Event, err
}

// MarkSubmission makes spam or ham of a submission, or has it delivered again.
func (s *server) MarkSubmission(ctx context.Context, id, mark string) error {
	switch mark {
	case "spam":
		return s.modules.submissions.Spam(ctx, id)
	case "ham":
		return s.modules.submissions.Ham(ctx, id)
	default:
		return s.modules.submissions.Resend(ctx, id)
	}
}
