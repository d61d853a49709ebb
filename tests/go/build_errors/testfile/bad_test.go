package testfile

import "testing"

func TestA(t *testing.T) {
	undefinedName(t)
}

func TestB(t *testing.T) {}
