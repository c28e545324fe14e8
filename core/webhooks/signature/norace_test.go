//go:build !race

package signature

const race = false
