//go:build linux

package main

// edgeConfig is what an operator would write: limits, timeouts and metrics are on.
const edgeConfig = `data_dir: {{.Folder}}/data
listen: {http: [], https: "127.0.0.1:{{.Port}}", h3: off, metrics: "127.0.0.1:{{.Metrics}}"}
log: {access: {{or .Log "off"}}}
sites:
  files: {root: {{.Shared}}/www}
target_groups:
  upstream: {targets: ["http://127.0.0.1:{{.Upstream}}"], health: off}
hosts:
{{- $shared := .Shared}}
{{- range .Hosts}}
  {{.}}:
    tls: {cert: {{$shared}}/cert.pem, key: {{$shared}}/key.pem}
    rules:
      - {path: /static/*, site: files}
    default: {forward: upstream}
{{- end}}
`
