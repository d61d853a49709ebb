// Package parallel interleaves its tests.
package parallel

import (
	"fmt"
	"testing"
	"time"
)

func TestSequential(t *testing.T) { t.Log("alone") }

func TestA(t *testing.T) {
	t.Parallel()
	for i := 0; i < 3; i++ {
		t.Logf("a %d", i)
		time.Sleep(time.Millisecond)
	}
}

func TestB(t *testing.T) {
	t.Parallel()
	for i := 0; i < 3; i++ {
		t.Logf("b %d", i)
		time.Sleep(time.Millisecond)
	}
	t.Error("b fails\non two lines")
}

func TestGroup(t *testing.T) {
	for i := 0; i < 4; i++ {
		i := i
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			t.Log("sub", i)
			if i == 2 {
				t.Skip("two is skipped")
			}
		})
	}
	t.Log("the parent's body is over")
}
