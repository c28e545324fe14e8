//go:build linux

package main

// haproxyConfig refuses other hosts, as the others do. HAProxy serves no files, and its access log goes to syslog only.
const haproxyConfig = `global
  maxconn 8192
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  http-reuse always
frontend visitors
  bind 127.0.0.1:{{.Port}} ssl crt {{.Shared}}/pair.pem alpn h2,http/1.1 backlog 4096
  acl known req.hdr(host),regsub(:.*,) -m str{{range .Hosts}} {{.}}{{end}}
  http-request deny deny_status 421 if !known
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  option forwardfor
  default_backend upstream
backend upstream
  server upstream 127.0.0.1:{{.Upstream}} pool-max-conn -1
`
