// Package proxy carries one request to one target and brings the answer back: which fields go along, streaming both
// ways, trailers, 1xx answers, upgrades, what is tried again, and what the visitor gets when it fails.
//
// In comes what happens between a chosen target and the visitor. Which target is chosen, and how a target's health is
// known, is package target's; how bytes of one protocol get to a target and back is behind the interface way.
package proxy
