package intest

import "testing"

func TestBefore(t *testing.T) {}

func TestPanics(t *testing.T) {
	t.Log("about to go")
	func() {
		panic("boom")
	}()
}

func TestAfter(t *testing.T) {}
