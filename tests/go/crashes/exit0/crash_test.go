package exit0

import (
	"os"
	"testing"
)

func TestExits(t *testing.T) {
	os.Exit(0)
}

func TestAfter(t *testing.T) {}
