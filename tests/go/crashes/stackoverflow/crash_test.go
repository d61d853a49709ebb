package stackoverflow

import (
	"runtime/debug"
	"testing"
)

func depth(n int) int { return 1 + depth(n+1) }

func TestRecursion(t *testing.T) {
	debug.SetMaxStack(1 << 20)
	depth(0)
}

func TestAfter(t *testing.T) {}
