package goexit

import (
	"runtime"
	"testing"
)

func TestGoexit(t *testing.T) {
	runtime.Goexit()
}

func TestSubtestStopsParent(t *testing.T) {
	parent := t
	t.Run("sub", func(t *testing.T) {
		parent.FailNow()
	})
}

func TestAfter(t *testing.T) {}
