package cgo_test

import (
	"testing"

	"example.com/cgo"
)

func TestSum(t *testing.T) {
	if got := cgo.Sum(1, 2); got != 3 {
		t.Errorf("sum is %d", got)
	}
}

func TestWrong(t *testing.T) {
	t.Errorf("sum is %d", cgo.Sum(1, 2))
}

func TestSegfault(t *testing.T) { cgo.Crash() }

func TestAfter(t *testing.T) {}
