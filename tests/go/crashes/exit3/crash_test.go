package exit3

import (
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestExits(t *testing.T) {
	os.Exit(3)
}

func TestExitsInSubtest(t *testing.T) {
	t.Run("fine", func(t *testing.T) {})
	t.Run("exits", func(t *testing.T) { os.Exit(3) })
	t.Run("later", func(t *testing.T) {})
}

func TestAfter(t *testing.T) {}
