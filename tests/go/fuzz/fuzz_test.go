package fuzz

import "testing"

func FuzzGood(f *testing.F) {
	f.Add(1, "one")
	f.Add(2, "two")
	f.Fuzz(func(t *testing.T, n int, s string) {
		if n < 1 || s == "" {
			t.Errorf("got %d %q", n, s)
		}
	})
}

func FuzzCorpusFinds(f *testing.F) {
	f.Add([]byte("seed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			t.Error("empty input")
		}
	})
}

func FuzzSeedSkips(f *testing.F) {
	f.Add(-1)
	f.Add(1)
	f.Fuzz(func(t *testing.T, n int) {
		if n < 0 {
			t.Skip("negative")
		}
	})
}

func FuzzNothing(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) { t.Error("there is no seed") })
}

func TestBeside(t *testing.T) {}
