// Package fatal has tests that take the process with them.
package fatal

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestFine(t *testing.T) {}

func TestPanics(t *testing.T) { panic("went up in smoke") }

func TestPanicsBelow(t *testing.T) {
	t.Run("sub", func(t *testing.T) { panic("went up below") })
}

func TestGoexits(t *testing.T) { runtime.Goexit() }

func TestExits(t *testing.T) { os.Exit(3) }

func TestExitsWell(t *testing.T) { os.Exit(0) }

func TestHangs(t *testing.T) {
	for {
		time.Sleep(time.Hour)
	}
}

// What it leaves behind fails it when it is over.
func TestFailsLate(t *testing.T) {
	go func() {
		for os.Getenv("OVER") == "" {
			time.Sleep(time.Millisecond)
		}
		t.Error("too late")
	}()
}

func TestWaits(t *testing.T) { time.Sleep(time.Hour) }
