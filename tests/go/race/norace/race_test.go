package norace

import "testing"

func TestBuiltWithRace(t *testing.T) {
	if !enabled {
		t.Error("built without the race detector")
	}
}
