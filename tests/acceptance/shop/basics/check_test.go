package basics

import "testing"

func same(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func sameWithoutHelper(t *testing.T, got, want int) {
	if got != want {
		t.Errorf("elsewhere: got %d, want %d", got, want)
	}
}
