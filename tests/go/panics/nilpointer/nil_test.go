package nilpointer

import (
	"errors"
	"testing"
)

type account struct{ balance int }

func find(string) *account { return nil }

func TestNilPointer(t *testing.T) {
	got := find("nobody")

	if got.balance != 0 {
		t.Error("balance")
	}
}

func TestPanicsWithError(t *testing.T) {
	panic(errors.New("the disk is full"))
}

func TestAfter(t *testing.T) {}
