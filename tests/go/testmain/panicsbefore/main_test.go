package panicsbefore

import "testing"

func TestMain(m *testing.M) {
	panic("set-up went wrong")
}

func TestA(t *testing.T) {}
