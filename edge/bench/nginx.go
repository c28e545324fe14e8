//go:build linux

package main

// nginxConfig gives nginx one worker, keep-alive without its limit of requests, and bodies that are passed on as they come.
const nginxConfig = `daemon off;
worker_processes 1;
pid {{.Folder}}/nginx.pid;
error_log {{.Folder}}/error.log crit;
{{if .Root}}user root;{{end}}
events { worker_connections 8192; }
http {
  access_log {{or .Log "off"}};
  sendfile on; tcp_nopush on; server_tokens off;
  types { text/plain txt; }
  default_type application/octet-stream;
  keepalive_requests 100000000; keepalive_timeout 300s;
  client_max_body_size 0;
  client_body_temp_path {{.Folder}}/body; proxy_temp_path {{.Folder}}/proxy;
  fastcgi_temp_path {{.Folder}}/fastcgi; uwsgi_temp_path {{.Folder}}/uwsgi; scgi_temp_path {{.Folder}}/scgi;
  ssl_certificate {{.Shared}}/cert.pem; ssl_certificate_key {{.Shared}}/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:sessions:4m; ssl_session_tickets on;
  http2_max_concurrent_streams 250;
  upstream upstream { server 127.0.0.1:{{.Upstream}}; keepalive 256; keepalive_requests 100000000; }
{{- $at := .}}
{{- range $i, $host := .Hosts}}
  server {
    listen 127.0.0.1:{{$at.Port}} ssl http2{{if eq $i 0}} backlog=4096{{end}};
    server_name {{$host}};
    location /static/ { root {{$at.Shared}}/www; }
    location / {
      proxy_pass http://upstream; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_buffering on; proxy_max_temp_file_size 0; proxy_request_buffering off;
    }
  }
{{- end}}
}
`
