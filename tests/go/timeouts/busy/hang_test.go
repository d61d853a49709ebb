package busy

import "testing"

func TestSpins(t *testing.T) {
	for n := 0; ; n++ {
	}
}

func TestAfter(t *testing.T) {}
