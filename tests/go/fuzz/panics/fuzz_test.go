package panics

import "testing"

func FuzzPanics(f *testing.F) {
	f.Add("long enough")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		_ = s[3]
	})
}

func FuzzAfter(f *testing.F) {
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {})
}
