//go:build linux

package main

// caddyConfig is Caddy without its admin API and its own certificates.
const caddyConfig = `{
  admin off
  auto_https off
  persist_config off
  servers {
    protocols h1 h2
  }
}
{{- $at := .}}
{{- range .Hosts}}
https://{{.}}:{{$at.Port}} {
  bind 127.0.0.1
  tls {{$at.Shared}}/cert.pem {{$at.Shared}}/key.pem
  handle /static/* {
    root * {{$at.Shared}}/www
    file_server
  }
  handle {
    reverse_proxy 127.0.0.1:{{$at.Upstream}} {
      transport http {
        keepalive_idle_conns_per_host 1024
      }
    }
  }
}
{{- end}}
`
