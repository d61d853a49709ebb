package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println(parse(os.Args[1:]))
}

func parse(args []string) int { return len(args) }
