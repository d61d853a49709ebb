package exit1after

import (
	"fmt"
	"os"
	"testing"
)

// TestMain ends as a leak checker does.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		fmt.Fprintln(os.Stderr, "2 goroutines left")
		code = 1
	}
	os.Exit(code)
}

func TestA(t *testing.T) {}

func TestB(t *testing.T) {}
