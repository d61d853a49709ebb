package imports

import tst "testing"

func TestAlias(t *tst.T) {
	t.Error("by an alias")
}

func FuzzAlias(f *tst.F) {
	f.Add("x")
	f.Fuzz(func(t *tst.T, s string) {})
}
