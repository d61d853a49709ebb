package bench

import (
	"flag"
	"os"
	"testing"
)

// TestMain keeps the runs short.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.benchtime", "100x"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestBeside(t *testing.T) {}

func BenchmarkSum(b *testing.B) {
	sum := 0
	for i := 0; i < b.N; i++ {
		sum += i
	}
	b.ReportMetric(float64(sum), "sum")
}

func BenchmarkTable(b *testing.B) {
	for _, name := range []string{"small", "large"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				_ = make([]byte, len(name))
			}
		})
	}
}

func BenchmarkFails(b *testing.B) {
	b.Fatal("out of range")
}

func BenchmarkSkips(b *testing.B) {
	b.Skip("needs a GPU")
}
