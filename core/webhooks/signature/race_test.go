//go:build race

package signature

const race = true // pools drop some of what they are given
