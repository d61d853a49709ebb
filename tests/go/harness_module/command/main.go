// Command command has variables named like those of the main package of a test binary.
package main

import "fmt"

var tests, fuzzTargets, examples, benchmarks = 1, 2, 3, 4

func main() { fmt.Println(tests, fuzzTargets, examples, benchmarks) }
