package together

import (
	"testing"
	"time"
)

var left, right = make(chan bool), make(chan bool)

func meet(t *testing.T, mine, other chan bool) {
	t.Parallel()
	select {
	case mine <- true:
	case <-other:
	case <-time.After(10 * time.Second):
		t.Error("the other one never came")
	}
}

//pytest:parallel
func TestLeft(t *testing.T) { meet(t, left, right) }

//pytest:parallel
func TestRight(t *testing.T) { meet(t, right, left) }
