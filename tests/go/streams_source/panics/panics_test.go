// Package panics dies of a panic in a subtest.
package panics

import (
	"fmt"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestPanics(t *testing.T) {
	t.Log("about to")
	t.Run("sub", func(t *testing.T) {
		fmt.Print("no newline")
		panic("boom")
	})
}

func TestNever(t *testing.T) {}
