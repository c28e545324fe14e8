//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Servers of entries, by the names that -peers has for them.
const (
	nameEdge       = "edge"
	nameStrapi     = "strapi"
	namePocketBase = "pocketbase"
)

// A backend is a running server of entries.
type backend struct {
	name    string
	program program
	port    int
	ready   string // a path that is answered with 200 when it serves
	child   *child
	made    atomic.Int64 // requests

	ones             []string // paths of entries
	list             string   // path of 25 of them, and how many there are
	published, plain string   // paths to create at: with drafts, without; "" if it knows no such thing
	tags             []string // ids
	wrap             bool     // whether data is sent as {"data": …}
	turn             atomic.Int64
}

func (s *backend) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// one is the path of each entry in its turn.
func (s *backend) one() string { return s.ones[int(s.turn.Add(1))%len(s.ones)] }

func (s *backend) callers(w work) callers {
	return callers{address: s.address(), request: func(n int) string { return s.request(w, n) }, made: &s.made}
}

// request is the nth of a work.
func (s *backend) request(w work, n int) string {
	body := ""
	if w.body != nil {
		body = w.body(s, n)
	}
	return requestText(w.path(s), body)
}

// apiHost is what servers are asked as.
const apiHost = "localhost"

// entry is an article as it is sent, the nth of them under a title of its own.
func (s *backend) entry(title string, n int) string {
	data := article(title, n)
	data["tags"] = []string{s.tags[n%5], s.tags[(n+2)%5]}
	var sent any = data
	if s.wrap {
		sent = map[string]any{"data": data}
	}
	text, _ := json.Marshal(sent) // of texts and numbers
	return string(text)
}

// article is what an entry has, but for its tags: the reference's data, in which some things are missing now and then.
func article(title string, n int) map[string]any {
	a := map[string]any{
		"title": title, "body": fmt.Sprintf("Body of article %03d. ", n) + strings.Repeat("Lorem ipsum dolor sit amet. ", 4), "views": 3 * (n % 100_000),
		"rating": float64(n%50*10+5) / 100, "published": fmt.Sprintf("2026-%02d-%02d", n%12+1, n%28+1),
	}
	if n%7 == 0 {
		delete(a, "body")
	}
	if n%9 == 0 {
		delete(a, "rating")
	}
	return a
}

var tagNames = []string{"go", "node", "css", "sql", "ops"}

const (
	articles      = 120 // of which every tenth is left out: a draft
	strapiArticle = "/api/articles"
	strapiNote    = "/api/notes" // the same without drafts
)

// startBackends starts edge and the peers that are asked for, with the same entries. One that can't be had is a failure, and no reason to stop.
func (b *bench) startBackends(ctx context.Context) (servers []*backend, err error) {
	for name, begin := range map[string]func(context.Context, string) (*backend, error){
		nameEdge: b.edgeBackend, nameStrapi: b.strapiBackend, namePocketBase: b.pocketBackend,
	} {
		if name != nameEdge && !slices.Contains(b.peers, name) {
			continue
		}
		folder := filepath.Join(b.folder, "api-"+name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return servers, err
		}
		s, err := begin(ctx, folder)
		switch {
		case err == nil:
			servers = append(servers, s)
		case name == nameEdge:
			return servers, fmt.Errorf("the content API: %w", err)
		default:
			b.failed(fmt.Errorf("%s is missing: %w", name, err))
		}
	}
	slices.SortFunc(servers, func(a, b *backend) int { return strings.Compare(a.name, b.name) })
	return servers, nil
}

// serve starts a server, fills it, and starts it again, so that what filling took does not count.
func (b *bench) serve(ctx context.Context, s *backend, fill func(context.Context, *backend) error) (*backend, error) {
	if err := b.launchBackend(ctx, s); err != nil {
		return nil, err
	}
	err := fill(ctx, s)
	s.child.stop()
	if err != nil {
		return nil, fmt.Errorf("filling: %w", err)
	}
	return s, b.launchBackend(ctx, s)
}

// launchBackend starts s on the core of servers, and returns once it answers.
func (b *bench) launchBackend(ctx context.Context, s *backend) error {
	log, err := os.OpenFile(filepath.Join(s.program.folder, "out.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p := s.program
	p.out, p.cores = log, &b.cores.server
	if s.child, err = start(ctx, p); err != nil {
		return err
	}
	if err := s.untilReady(ctx); err != nil {
		s.child.stop()
		said, _ := os.ReadFile(log.Name()) // for the message only
		return fmt.Errorf("it does not serve: %w\n%s", err, lastLines(string(said)))
	}
	return nil
}

func (s *backend) untilReady(ctx context.Context) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.call(ctx, http.MethodGet, s.ready, "", nil, nil)
		if err == nil {
			return nil
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("it ended: %w", errors.Join(err, s.child.err))
		case <-ctx.Done():
			return fmt.Errorf("within %v: %w", patience, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// call asks the server for something that is not measured. in is sent as JSON, and the answer read into out, unless they are nil.
func (s *backend) call(ctx context.Context, method, path, token string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.address()+path, body)
	if err != nil {
		return err
	}
	r.Host = apiHost
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// fillStrapi makes the tags and the articles over the API that edge and Strapi have in common.
func fillStrapi(ctx context.Context, s *backend) error {
	type made struct {
		Data struct {
			DocumentID string `json:"documentId"`
		} `json:"data"`
	}
	for _, name := range tagNames {
		var tag made
		if err := s.call(ctx, http.MethodPost, "/api/tags", "", map[string]any{"data": map[string]any{"name": name}}, &tag); err != nil {
			return err
		}
		s.tags = append(s.tags, tag.Data.DocumentID)
	}
	return s.fillArticles(func(body string) error {
		var entry made
		if err := s.call(ctx, http.MethodPost, strapiArticle, "", json.RawMessage(body), &entry); err != nil {
			return err
		}
		s.ones = append(s.ones, strapiArticle+"/"+entry.Data.DocumentID)
		return nil
	})
}

// fillArticles makes the articles that are published.
func (s *backend) fillArticles(create func(body string) error) error {
	for i := 1; i <= articles; i++ {
		if i%10 == 0 {
			continue
		}
		title := fmt.Sprintf("Alpha %03d", i)
		if i%2 == 0 {
			title = fmt.Sprintf("beta %03d", i)
		}
		if err := create(s.entry(title, i)); err != nil {
			return err
		}
	}
	return nil
}
