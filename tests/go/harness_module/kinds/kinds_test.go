// Package kinds has everything that is no test: examples, fuzz targets, benchmarks.
package kinds

import (
	"fmt"
	"os"
	"testing"
)

func TestPlain(t *testing.T) {}

func FuzzOne(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) { t.Log("GREETING", os.Getenv("GREETING")) })
}

func FuzzTwo(f *testing.F) {
	f.Add(2)
	f.Fuzz(func(t *testing.T, n int) {
		if n == 2 {
			t.Error("two")
		}
	})
}

func FuzzThree(f *testing.F) {
	f.Add(3)
	f.Fuzz(func(t *testing.T, n int) {})
}

func Example_good() {
	fmt.Println(os.Getenv("GREETING"))
	// Output: hello
}

func Example_bad() {
	fmt.Println("this")
	// Output: that
}

func Example_panics() {
	panic("example went up in smoke")
	// Output:
}

func BenchmarkGood(b *testing.B) {
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
	}
}

func BenchmarkSubs(b *testing.B) {
	b.Run("sub", func(b *testing.B) {})
	b.Run("bad", func(b *testing.B) { b.Fatal("no good") })
}
