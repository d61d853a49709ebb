package badcorpus

import "testing"

func FuzzBadCorpus(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {})
}
