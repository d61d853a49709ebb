package wrong

import "fmt"

func ExampleGreet() {
	fmt.Println(Greet("Ada"))
	// Output: hello, Bob
}

func ExampleGreet_again() {
	fmt.Println(Greet("Ada"))
	// Output: hello, Ada
}
