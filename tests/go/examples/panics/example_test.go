package panics

import (
	"fmt"
	"testing"
)

func TestBefore(t *testing.T) {}

func ExampleDivide() {
	fmt.Println(Divide(1, 0))
	// Output: 0
}

func ExampleDivide_later() {
	fmt.Println(Divide(4, 2))
	// Output: 2
}
