package incleanup

import "testing"

func TestCleanupPanics(t *testing.T) {
	t.Cleanup(func() { panic("boom in cleanup") })
}

func TestAfter(t *testing.T) {}
