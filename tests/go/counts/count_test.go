package counts

import "testing"

var fails, skips, flaky int

func TestFailsOnce(t *testing.T) {
	if fails++; fails == 2 {
		t.Errorf("run %d", fails)
	}
}

func TestSkipsOnce(t *testing.T) {
	if skips++; skips == 1 {
		t.Skip("not the first time")
	}
}

func TestAlways(t *testing.T) {}

func TestTable(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("flaky", func(t *testing.T) {
		if flaky++; flaky == 1 {
			t.Error("flaked")
		}
	})
}
