package imports

import . "testing"

func TestDot(t *T) {
	t.Log("by a dot import")
}
