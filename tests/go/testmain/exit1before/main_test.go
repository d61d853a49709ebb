package exit1before

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	fmt.Fprintln(os.Stderr, "cannot reach the broker")
	os.Exit(1)
}

func TestA(t *testing.T) {}

func TestB(t *testing.T) {}
