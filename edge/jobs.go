package main

import (
	"context"
	"fmt"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/jobs/schedule"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/spf13/cobra"
)

func (c *cli) jobsCommand() *cobra.Command {
	command := c.jsonFlag(&cobra.Command{
		Use:   "jobs",
		Short: "show the clock: what ran, what is due, and run, pause or resume a job",
		Long: `jobs shows for each job when it is due next, how its last run ended, when it succeeded
last, and what was missed. The times are this machine's.`,
		Example: "  edge jobs\n  edge jobs history reconcile\n  edge jobs next reconcile --from 2027-03-27 -n 3",
		Args:    exactly(),
		RunE:    func(command *cobra.Command, _ []string) error { return c.jobs(command.Context()) },
	})
	command.AddCommand(c.jobsHistoryCommand(), c.jobsNextCommand(),
		c.jobsOrder("run", "run a job now, also when it is paused", "is run; `edge jobs history` shows how it ends", (*admin.Client).RunJob),
		c.jobsOrder("pause", "have a job not be due any more, until it is resumed", "is paused", (*admin.Client).PauseJob),
		c.jobsOrder("resume", "have a job be due again; what was due meanwhile is not made up for", "goes on", (*admin.Client).ResumeJob))
	return command
}

func (c *cli) jobsOrder(order, short, done string, give func(*admin.Client, context.Context, string) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use:     order + " NAME",
		Short:   short,
		Example: "  edge jobs " + order + " reconcile",
		Args:    exactly("NAME"),
		RunE: func(command *cobra.Command, args []string) error {
			if _, err := askFor(command.Context(), c, give, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.out, "%s %s\n", args[0], done)
			return err
		},
	}
}

func (c *cli) jobsHistoryCommand() *cobra.Command {
	var f jobs.Filter
	command := c.jsonFlag(&cobra.Command{
		Use:     "history NAME",
		Short:   "list the runs of a job, the newest first",
		Example: "  edge jobs history reconcile\n  edge jobs history reconcile --json | jq '.[0].output'",
		Args:    exactly("NAME"),
		RunE: func(command *cobra.Command, args []string) error {
			f.Job = args[0]
			return c.jobHistory(command.Context(), f)
		},
	})
	command.Flags().IntVarP(&f.Limit, "limit", "n", 20, "how many at most, up to 500")
	return command
}

func (c *cli) jobsNextCommand() *cobra.Command {
	var from string
	var n int
	command := c.jsonFlag(&cobra.Command{
		Use:   "next NAME",
		Short: "list when a job is due next, by the configuration alone",
		Long: `next lists the coming times of a job in its own time zone, without jitter. It reads the
configuration and asks no server.`,
		Example: "  edge jobs next reconcile\n  edge jobs next reconcile --from 2027-03-27T00:00:00Z -n 3 --json",
		Args:    exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			if n < 1 || n > maxNext {
				return usage("-n is from 1 to %d", maxNext)
			}
			return c.jobNext(args[0], from, n)
		},
	})
	command.Flags().StringVar(&from, "from", "", "times after this `TIME`: 2027-03-27, or as RFC 3339 (default now)")
	command.Flags().IntVarP(&n, "count", "n", 10, "how many")
	return command
}

const maxNext = 1000

func (c *cli) jobNext(name, from string, n int) error {
	path, err := c.configPath()
	if err != nil {
		return err
	}
	cfg, _, err := load(path)
	if err != nil {
		return err
	}
	job, ok := cfg.Jobs[name]
	if !ok {
		return usage("there is no job %q in %s", name, path)
	}
	due, err := schedule.Parse(job)
	if err != nil {
		return err
	}
	zone := due.Zone()
	at, err := startOf(from, zone)
	if err != nil {
		return err
	}
	times := make([]string, 0, n)
	t := new(table)
	for next, ok := due.Next(at); ok && len(times) < n; next, ok = due.Next(next) {
		times = append(times, next.UTC().Format(time.RFC3339))
		t.row(plain("%s", next.In(zone).Format("Mon 2006-01-02 15:04:05 MST")), plain("in %s", span(time.Until(next))))
	}
	if c.json {
		return c.printJSON(times)
	}
	if len(times) == 0 {
		_, err := fmt.Fprintf(c.err, "%s is not due any more\n", name)
		return err
	}
	t.print(c.out)
	return nil
}

// startOf reads a day or a time; "" is now.
func startOf(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	at, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return time.Time{}, usage("--from %q is neither a day such as 2027-03-27, nor a time such as 2027-03-27T00:00:00Z", text)
	}
	return at, nil
}

func (c *cli) jobs(ctx context.Context) error {
	all, err := ask(ctx, c, (*admin.Client).Jobs)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(all)
	}
	t := new(table)
	t.head("JOB", "RUNS", "NEXT", "LAST RUN", "OUTCOME", "LAST SUCCESS", "MISSED", "STATE")
	for _, j := range all {
		last, outcome, success := plain("never"), cell{}, plain("never")
		if j.Last != nil {
			last, outcome = plain("%s", ago(j.Last.Due)), outcomeCell(j.Last.Outcome)
		}
		if !j.LastSuccess.IsZero() {
			success = plain("%s", ago(j.LastSuccess))
		}
		next := plain("never")
		if !j.Next.IsZero() {
			next = plain("%s", j.Next.Local().Format(time.DateTime))
		}
		t.row(plain("%s", j.Job), plain("%s", j.Runs), next, last, outcome, success, plain("%d", j.Missed), jobState(j))
	}
	t.print(c.out)
	return nil
}

func jobState(j admin.Job) cell {
	switch {
	case j.Run != nil && j.Run.State == jobs.Running:
		return cell{"running on " + printable(j.Run.Host, 40), green}
	case !j.Paused.IsZero():
		return cell{"paused", yellow}
	case j.Late:
		return cell{"late by " + span(j.LateBy), red}
	case j.Run != nil:
		return cell{"waits for its next attempt", yellow}
	case j.Failures == 1:
		return cell{"failed", red}
	case j.Failures > 1:
		return cell{fmt.Sprintf("failed %d times in a row", j.Failures), red}
	}
	return cell{"ready", green}
}

// cameOf says what has come of a run, or how far it is.
func cameOf(r jobs.Record) cell {
	if r.Outcome == "" {
		return cell{string(r.State), yellow}
	}
	return outcomeCell(r.Outcome)
}

func outcomeCell(o jobs.Outcome) cell {
	if o == jobs.Succeeded {
		return cell{string(o), green}
	}
	if o == jobs.Failed || o == jobs.Dead || o == jobs.Lost {
		return cell{string(o), red}
	}
	return cell{string(o), yellow}
}

func (c *cli) jobHistory(ctx context.Context, f jobs.Filter) error {
	found, err := askFor(ctx, c, (*admin.Client).JobHistory, f)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(found)
	}
	t := new(table)
	t.head("DUE", "TRIGGER", "STARTED", "TOOK", "ATTEMPT", "OUTCOME", "HOST", "WHY")
	for _, r := range found {
		started, took := cell{}, cell{}
		if !r.Started.IsZero() {
			started = plain("%s", r.Started.Local().Format(time.DateTime))
		}
		if !r.Ended.IsZero() && !r.Started.IsZero() {
			took = plain("%s", r.Ended.Sub(r.Started).Round(time.Millisecond))
		}
		t.row(plain("%s", r.Due.Local().Format(time.DateTime)), plain("%s", r.Trigger), started, took, plain("%d", r.Attempt), cameOf(r),
			plain("%s", printable(r.Host, 40)), plain("%s", printable(r.Error, 120)))
	}
	t.print(c.out)
	return nil
}

// runs says what a job runs.
func runs(j config.Job) string {
	switch {
	case j.Plugin != "":
		return "plugin " + j.Plugin
	case j.Function != "":
		return "function " + j.Function
	case j.HTTP != nil:
		return j.HTTP.Method
	default:
		return "command"
	}
}

// Jobs returns the jobs of the configuration in service.
func (s *server) Jobs(ctx context.Context) ([]admin.Job, error) {
	configured := s.generation().cfg.Jobs
	found, err := s.modules.jobs.Status(ctx)
	all := make([]admin.Job, 0, len(found))
	for _, status := range found {
		j := configured[status.Job]
		all = append(all, admin.Job{Status: status, Schedule: j.Schedule, Timezone: j.Timezone, Runs: runs(j)})
	}
	return all, err
}

// JobHistory returns the runs of a job.
func (s *server) JobHistory(ctx context.Context, f jobs.Filter) ([]jobs.Record, error) {
	found, err := s.modules.jobs.History(ctx, f)
	if _, configured := s.generation().cfg.Jobs[f.Job]; err == nil && len(found) == 0 && !configured {
		return nil, fmt.Errorf("there is no job %q: %w", f.Job, fault.NotFound)
	}
	if found == nil {
		found = []jobs.Record{}
	}
	return found, err
}

// JobRun has a job run now.
func (s *server) JobRun(ctx context.Context, name string) (string, error) {
	return s.modules.jobs.RunNow(ctx, name)
}

// PauseJob has a job not be due any more.
func (s *server) PauseJob(ctx context.Context, name string) error {
	return s.modules.jobs.Pause(ctx, name)
}

// ResumeJob has a job be due again.
func (s *server) ResumeJob(ctx context.Context, name string) error {
	return s.modules.jobs.Resume(ctx, name)
}
