package insub

import "testing"

func TestTable(t *testing.T) {
	for _, name := range []string{"first", "second", "third"} {
		t.Run(name, func(t *testing.T) {
			if name == "second" {
				panic("boom in " + name)
			}
		})
	}
}

func TestAfter(t *testing.T) {}
