package format

import "testing"

func TestFormat(t *testing.T) {
	t.Logf("%d items", "three")
}

func TestOther(t *testing.T) {}
