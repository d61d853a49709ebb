package goroutine

import "testing"

func TestBefore(t *testing.T) {}

func TestGoroutinePanics(t *testing.T) {
	done := make(chan struct{})
	go func() {
		panic("boom in a goroutine")
	}()
	<-done
}

func TestAfter(t *testing.T) {}
