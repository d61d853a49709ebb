package returns

import "testing"

// TestMain returns: the generated main takes the exit code of m.Run.
func TestMain(m *testing.M) {
	m.Run()
}

func TestFails(t *testing.T) { t.Error("wrong") }
