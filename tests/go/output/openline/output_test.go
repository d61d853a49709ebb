package openline

import (
	"fmt"
	"testing"
)

func TestNoNewline(t *testing.T) {
	fmt.Print("no newline")
	t.Run("sub", func(t *testing.T) { fmt.Print("nor here") })
	fmt.Print("and at the end")
}

func TestFailsAfterOpenLine(t *testing.T) {
	fmt.Print("progress 99%")

	t.Error("stuck at 99%")
}

func TestAfter(t *testing.T) { fmt.Print("last words") }
