package panicsafter

import "testing"

func TestMain(m *testing.M) {
	m.Run()
	panic("tear-down went wrong")
}

func TestA(t *testing.T) {}
