// Package proto is the protocol between edge and its plugins: plugin.proto, and what is generated of it.
//
// In comes what goes over the wire. What a plugin author sees of it is in sdk, how a plugin is started in host.
//
// After a change of plugin.proto, `go generate ./plugins/internal/proto` makes the Go code and notes the hashes of what belongs together, by which a test
// tells without any tool that one was changed without the other.
package proto

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate --path plugin.proto
//go:generate sh -c "sha256sum plugin.proto buf.gen.yaml plugin.pb.go plugin_grpc.pb.go > plugin.sha256"
