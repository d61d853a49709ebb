package vetted

import "testing"

func TestPrintf(t *testing.T) {
	t.Errorf("%d", "text")
}
