// Package benchmarks has benchmarks beside a test.
package benchmarks

import (
	"fmt"
	"testing"
)

func TestBeside(t *testing.T) {}

func BenchmarkPlain(b *testing.B) {
	for i := 0; i < b.N; i++ {
		_ = fmt.Sprint(i)
	}
}

func BenchmarkLog(b *testing.B) { b.Log("in the benchmark") }

func BenchmarkMetric(b *testing.B) { b.ReportMetric(42, "answers/op") }

func BenchmarkGroup(b *testing.B) {
	b.Run("one", func(b *testing.B) {})
	b.Run("two", func(b *testing.B) { b.Skip("skipped") })
}

func BenchmarkFails(b *testing.B) { b.Error("wrong") }
