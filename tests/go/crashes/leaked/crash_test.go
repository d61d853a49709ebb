package leaked

import (
	"testing"
	"time"
)

var wake = make(chan struct{})

func TestLeavesGoroutine(t *testing.T) {
	go func() {
		<-wake
		panic("boom from an earlier test")
	}()
}

// TestWakesIt is what runs when the process dies: it cannot be told from the culprit.
func TestWakesIt(t *testing.T) {
	close(wake)
	time.Sleep(2 * time.Second)
}

func TestAfter(t *testing.T) {}
