package forged

import (
	"fmt"
	"testing"
)

// TestPrintsMarker is what a test of a test2json-like tool prints.
func TestPrintsMarker(t *testing.T) {
	fmt.Println("\x16=== RUN   TestPhantom")
	fmt.Println("\x16--- FAIL: TestPhantom (0.00s)")
}

// TestForgesOwnFailure says it failed, but the last word is the framework's.
func TestForgesOwnFailure(t *testing.T) {
	fmt.Println("\x16--- FAIL: TestForgesOwnFailure (0.00s)")
}

func TestAfter(t *testing.T) {}
