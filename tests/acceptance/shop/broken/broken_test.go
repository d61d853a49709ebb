package broken

import "testing"

func TestOne(t *testing.T) {
	undefined()
	var x int = "text"
}

func TestTwo(t *testing.T) {}
func TestThree(t *testing.T) {}
