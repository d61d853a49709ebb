// Package orders has tests that tell in which order, and with what around them, they ran.
package orders

// Answer is something to test.
func Answer() int { return 42 }
