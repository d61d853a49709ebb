package app

import (
	"testing"

	"example.com/workspace/lib"
)

func TestUsesLib(t *testing.T) {
	if lib.Answer != 42 {
		t.Error("wrong answer")
	}
}
