// Package exits ends its process in a test.
package exits

import (
	"fmt"
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestExits(t *testing.T) {
	fmt.Print("no newline")
	os.Exit(3)
}

func TestNever(t *testing.T) {}
