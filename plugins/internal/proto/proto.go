// Package proto is the protocol between edge and its plugins: plugin.proto, and what is generated of it.
//
// In comes what goes over the wire. What a plugin author sees of it is in sdk, how a plugin is started in host.
package proto
