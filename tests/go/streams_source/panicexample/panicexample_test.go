// Package panicexample dies of a panic in an example.
package panicexample

import (
	"fmt"
	"testing"
)

func TestBefore(t *testing.T) {}

func Example_panics() {
	fmt.Println("printed")
	panic("boom")
	// Output: printed
}
