//go:build race

package inbox

const raced = true
