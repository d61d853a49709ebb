package unknown

import (
	"fmt"
	"testing"
)

func TestBeside(t *testing.T) {}

func ExampleNowhere() {
	fmt.Println("here")
	// Output: here
}
