package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/edge/internal/admin"
	"golang.org/x/sys/unix"
)

// targetsPatience is how long a reload waits for new targets to become healthy before it happens with a warning.
const targetsPatience = 30 * time.Second

// Reload reads the configuration again and takes it into service if all of it is good.
func (s *server) Reload(ctx context.Context) (admin.ReloadOutcome, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	started := time.Now()
	notifyReloading()
	defer notify(daemon.SdNotifyReady)

	outcome, err := s.reload(ctx)
	outcome.Seconds = time.Since(started).Seconds()
	switch {
	case err != nil:
		s.log.Error("reload refused: what was served is served on", "err", err)
	case len(outcome.Unhealthy) > 0:
		s.log.Warn("reloaded, but some new targets are not healthy", "targets", strings.Join(outcome.Unhealthy, "; "))
	default:
		s.log.Info("reloaded", "seconds", outcome.Seconds)
	}
	if invalid, ok := errors.AsType[*invalidConfig](err); ok {
		outcome.Problems, err = invalid.problems, nil
	}
	return outcome, err
}

// reloadOn reloads at each hangup until ctx is done. What becomes of it is logged.
func (s *server) reloadOn(ctx context.Context, hangup <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			_, _ = s.Reload(ctx)
		}
	}
}

// reload does it. An *invalidConfig says what is wrong with the files.
func (s *server) reload(ctx context.Context) (outcome admin.ReloadOutcome, err error) {
	defer func() {
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.refused = err.Error()
		}
	}()
	outcome.Problems, outcome.Unhealthy, outcome.Changes = []config.Problem{}, []string{}, []string{}
	if err := s.stopping(); err != nil {
		return outcome, err
	}
	cfg, warnings, err := load(s.path)
	if err != nil {
		return outcome, err
	}
	if fixed := needRestart(s.generation().cfg, cfg); len(fixed) > 0 {
		return outcome, &invalidConfig{fixed}
	}
	next, err := s.prepare(ctx, cfg)
	if err != nil {
		return outcome, err
	}
	wait, cancel := context.WithTimeout(ctx, targetsPatience)
	defer cancel()
	outcome.Unhealthy = append(outcome.Unhealthy, next.plan.Wait(wait)...)
	if err := cmp.Or(ctx.Err(), s.stopping()); err != nil { // the server stops, or the operator gave up
		next.abandon()
		return outcome, err
	}
	if err := s.access.Reopen(cfg.Log); err != nil {
		next.abandon()
		return outcome, err
	}
	if err := prepareContent(ctx, next.used.api); err != nil {
		next.abandon()
		return outcome, err
	}
	outcome.Changes = append(outcome.Changes, next.used.api.Changed()...) // in service the plan is prepared again, and nothing is left to change
	s.use(next)
	outcome.Applied = true
	outcome.Problems = append(outcome.Problems, warnings...)
	return outcome, nil
}

// stopping returns an error from the moment that the server is asked to stop.
func (s *server) stopping() error {
	if s.draining.Load() {
		return &admin.Error{Code: fault.Unavailable, Message: "the server is stopping"}
	}
	return nil
}

// needRestart returns a problem for each setting that a running server can't change.
func needRestart(before, after *config.Config) []config.Problem {
	var problems []config.Problem
	refuse := func(name string, value any) {
		was := strings.Trim(fmt.Sprint(value), "[]")
		switch was {
		case "":
			was = "not set"
		case "true":
			was = "on"
		case "false":
			was = "off"
		}
		var path []any
		for part := range strings.SplitSeq(name, ".") {
			path = append(path, part)
		}
		problems = append(problems, after.Problem(fmt.Sprintf("%s was %s and can't be changed by a reload: restart edge", name, was), path...))
	}
	if before.DataDir != after.DataDir {
		refuse("data_dir", before.DataDir)
	}
	if before.Store != after.Store {
		refuse("store", before.Store)
	}
	follows := map[string]bool{ // from another one, which is named
		"public_port": !slices.Equal(before.Listen.HTTPS, after.Listen.HTTPS),
		"admin":       before.DataDir != after.DataDir && filepath.Dir(socketPath(after.Listen.Admin)) == after.DataDir,
	}
	old, now := reflect.ValueOf(before.Listen), reflect.ValueOf(after.Listen)
	for i := range old.NumField() {
		name := old.Type().Field(i).Tag.Get("yaml")
		if !follows[name] && !reflect.DeepEqual(old.Field(i).Interface(), now.Field(i).Interface()) {
			refuse("listen."+name, old.Field(i).Interface())
		}
	}
	return problems
}

// fingerprint tells whether files still say what they said.
type fingerprint [sha256.Size]byte

func fingerprintOf(files []string) fingerprint {
	sum := sha256.New()
	for _, name := range slices.Sorted(slices.Values(files)) {
		fmt.Fprintf(sum, "%q", name)
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue // a pipe in its place would keep us waiting
		}
		if f, err := os.Open(name); err == nil {
			_, _ = io.Copy(sum, io.LimitReader(f, maxFingerprinted))
			f.Close()
		}
	}
	return fingerprint(sum.Sum(nil))
}

// maxFingerprinted is how much of a file is looked at, in bytes: as much as a configuration may have.
const maxFingerprinted = 1 << 20

// notifyReloading tells systemd that a reload has begun, with the time that it wants to hear (sd_notify(3), RELOADING=1).
func notifyReloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
	}
}
