// Package twice has a TestMain that runs the tests twice.
package twice

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	fmt.Println("TestMain sees", os.Getenv("DSN"))
	os.Setenv("ROUND", "1")
	first := m.Run()
	fmt.Println("between the rounds")
	os.Setenv("ROUND", "2")
	second := m.Run()
	fmt.Println("TestMain is over", first, second)
	os.Exit(7)
}

func TestRound(t *testing.T) { t.Log("round", os.Getenv("ROUND"), os.Getenv("DSN")) }

func FuzzRound(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {})
}
