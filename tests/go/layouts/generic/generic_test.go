package generic

import (
	"fmt"
	"testing"
)

func testMax[T int | int64](t *testing.T) {
	t.Run(fmt.Sprintf("%T", *new(T)), func(t *testing.T) {
		if Max[T](1, 2) != 2 {
			t.Error("wrong")
		}
	})
}

func TestInts(t *testing.T) {
	testMax[int](t)
	testMax[int64](t)
}

func TestStrings(t *testing.T) {
	if Max("a", "b") != "b" {
		t.Error("wrong")
	}
}
