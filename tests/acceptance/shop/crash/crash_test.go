package crash

import (
	"os"
	"testing"
)

type box struct{ n int }

func TestBefore(t *testing.T) {}

func TestPanic(t *testing.T) {
	var b *box
	b.n = 1
}

func TestPanicSub(t *testing.T) {
	t.Run("inner", func(t *testing.T) { panic("oh\nno") })
}

func TestExit(t *testing.T) {
	os.Exit(3)
}

func TestGoroutine(t *testing.T) {
	done := make(chan int)
	go func() { panic("elsewhere") }()
	<-done
}

func TestAfter(t *testing.T) {}
