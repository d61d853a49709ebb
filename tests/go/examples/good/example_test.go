package good_test

import (
	"fmt"

	"example.com/examples/good"
)

func ExampleGreet() {
	fmt.Println(good.Greet("Ada"))
	// Output: hello, Ada
}

func ExampleGreet_many() {
	for name := range map[string]bool{"Ada": true, "Bob": true} {
		fmt.Println(good.Greet(name))
	}
	// Unordered output:
	// hello, Bob
	// hello, Ada
}

func Example() {
	fmt.Println("the whole package")
	// Output: the whole package
}

func ExampleGreet_silent() {
	good.Greet("nobody")
	// Output:
}

// ExampleGreet_compiled has no Output comment: it is compiled, never run, no item.
func ExampleGreet_compiled() {
	panic(good.Greet("never"))
}
